"""Inputs and outputs of a TFLite model as codes: for devices that compute with nothing else."""

from __future__ import annotations

import onnx

from mlpack_edge.converters.quantization.lite_fixed import FIXED
from mlpack_edge.converters.quantization.static.operators import MOVES
from mlpack_edge.converters.tflite_from_onnx.passes.codes import CodedEdges, one_scale, same_grid
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor
from mlpack_edge.core.errors import Unsupported

#: Layers of which there is no form on codes.
_RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
_HINT = "keep real numbers at the border: --io float"


def refuse_recurrent_borders(model: onnx.ModelProto) -> None:
    """Raise Unsupported, naming the layer, where a recurrent one computes with a float input of the model itself, or makes an
    output: its kernels become products and gates of real numbers, whose names tell nobody which layer they are of.

    Operators that hand numbers on are looked through.
    """
    graph = model.graph
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in filter(None, node.input):
            readers.setdefault(name, []).append(node)
    makers = {name: node for node in graph.node for name in filter(None, node.output)}
    constant = {item.name for item in graph.initializer}
    for border in (one for one in graph.input if _is_float(one) and one.name not in constant):
        waiting, seen = [border.name], {border.name}
        while waiting:
            for node in readers.get(waiting.pop(), ()):
                if node.op_type in _RECURRENT:
                    raise _recurrent(f"the input {border.name!r} cannot be int8: {_named(node)} computes with", node)
                fresh = set(node.output) - seen if node.op_type in MOVES else set()
                waiting += sorted(fresh)
                seen |= fresh
    for border in filter(_is_float, graph.output):
        maker = makers.get(border.name)
        while maker is not None and maker.op_type in MOVES:
            maker = makers.get(maker.input[0])
        if maker is not None and maker.op_type in _RECURRENT:
            raise _recurrent(f"the output {border.name!r} cannot be int8: {_named(maker)} makes", maker)


def _is_float(border: onnx.ValueInfoProto) -> bool:
    return border.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def _named(node: onnx.NodeProto) -> str:
    return f"the {node.op_type} layer {node.name!r}" if node.name else f"a layer of {node.op_type}"


def _recurrent(said: str, node: onnx.NodeProto) -> Unsupported:
    return Unsupported(
        f"{said} its real numbers",
        _HINT,
        why=f"recurrent layers ({node.op_type}) have no codes here: they compute in float, with int8 weights",
    )


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
