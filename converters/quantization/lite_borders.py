"""Inputs and outputs of a TFLite model as codes: for devices that compute with nothing else."""

from __future__ import annotations

from mlpack_edge.converters.quantization.lite_fixed import FIXED
from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges, one_scale, same_grid
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor
from mlpack_edge.core.errors import Unsupported

_HINT = "keep real numbers at the border: --io float"


def codes_at_borders(graph: Graph) -> bool:
    """Float inputs that are quantized at once, and float outputs that are dequantized at last, become their int8 codes.

    Integers and booleans stay what they are, and so do the borders of sub-graphs. Whether anything changed. Raises Unsupported, naming an input or output whose real numbers are
    computed with, or are no codes.
    """
    if graph.name != "main":
        return False
    edges = CodedEdges(graph)
    for tensor in list(graph.inputs):
        if tensor.dtype == "float32":
            _coded_input(edges, tensor)
    for place, tensor in enumerate(list(graph.outputs)):
        if tensor.dtype == "float32":
            _coded_output(edges, place, tensor)
    edges.sweep()
    return True


def _coded_input(edges: CodedEdges, tensor: Tensor) -> None:
    readers = edges.readers(tensor)
    first = readers[0].output if readers else None
    for reader in readers:
        if reader.kind != "QUANTIZE" or not one_scale(reader.output) or reader.output.dtype != "int8":
            raise Unsupported(
                f"the input {tensor.name!r} cannot be int8: {reader.kind} computes with its real numbers",
                _HINT,
                why="one scale of 8 bits for the whole input would lose what that operator tells apart",
            )
        if first is not None and not same_grid(first, reader.output):
            raise Unsupported(f"the input {tensor.name!r} cannot be int8: it is quantized with two scales", _HINT)
    if first is None or tensor in edges.outputs:
        raise Unsupported(f"the input {tensor.name!r} cannot be int8: nothing quantizes it", _HINT)
    tensor.dtype, tensor.quantization = "int8", first.quantization
    for reader in dict.fromkeys(readers):
        if not edges.bypass(reader):
            raise Unsupported(f"the input {tensor.name!r} cannot be int8: it is an output as well", _HINT)


def _coded_output(edges: CodedEdges, place: int, tensor: Tensor) -> None:
    maker = edges.maker(tensor)
    codes = edges.codes(tensor)
    if codes is not None and maker is not None and one_scale(codes) and codes.dtype == "int8" and codes.data is None:
        if codes in edges.borders:
            raise Unsupported(f"the output {tensor.name!r} cannot be int8: its codes are a border already", _HINT)
        _hand_over(edges, place, tensor, codes, maker)
        return
    if maker is not None and maker.kind in FIXED and not edges.readers(tensor):
        given = edges.codes(maker.inputs[0])
        if given is not None and one_scale(given) and given.dtype == "int8":
            edges.read(maker, 0, given)
            tensor.dtype, tensor.quantization = "int8", FIXED[maker.kind]
            edges.changed = True
            return
    what = "a constant" if maker is None else f"{maker.kind}, which computes real numbers"
    raise Unsupported(f"the output {tensor.name!r} cannot be int8: it is made by {what}", _HINT)


def _hand_over(edges: CodedEdges, place: int, reals: Tensor, codes: Tensor, dequantize: Op) -> None:
    """Let the codes be the output, under its name; who else reads its real numbers still has them."""
    graph = edges.graph
    graph.outputs[place] = codes
    edges.outputs.discard(reals)
    edges.outputs.add(codes)
    edges.borders.add(codes)
    codes.name, reals.name = reals.name, ""
    if not edges.readers(reals):
        edges.remove(dequantize)
    edges.changed = True
