"""Operators that are to stay float, kept from ONNX Runtime's own quantizing."""

from __future__ import annotations

import onnx
from onnx import helper

from mlpack_edge.converters.quantization.static.names import Names

_TAKEN = frozenset({"Conv", "ConvTranspose", "Gemm"})


def guarded(nodes: list[onnx.NodeProto], codes: set[str], names: Names) -> list[onnx.NodeProto]:
    """The nodes, with a `Max` of one tensor (which changes nothing) before each float operator with weights that reads
    dequantized codes and whose result is quantized: ONNX Runtime quantizes the weights of such by itself when it loads
    a model (WeightBiasQuantization), with one scale for all channels, whatever the search found out about them.
    """
    makers = {name: node for node in nodes for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    done: list[onnx.NodeProto] = []
    for node in nodes:
        if node.op_type in _TAKEN and _kind(makers, node.input[0]) == "DequantizeLinear":
            plain = _kind(makers, node.input[1]) != "DequantizeLinear"
            if plain and _is_quantized(readers, node.output[0]):
                same = names.fresh("r")
                done.append(helper.make_node("Max", [node.input[0]], [same]))
                node.input[0] = same
        done.append(node)
    return done


def _kind(makers: dict[str, onnx.NodeProto], name: str) -> str:
    return str(makers[name].op_type) if name in makers else ""


def _is_quantized(readers: dict[str, list[onnx.NodeProto]], name: str) -> bool:
    """Whether QuantizeLinear alone reads a tensor, at once or behind Relu and Clip."""
    found = readers.get(name, [])
    while len(found) == 1 and found[0].op_type in ("Relu", "Clip"):
        found = readers.get(found[0].output[0], [])
    return len(found) == 1 and found[0].op_type == "QuantizeLinear"
