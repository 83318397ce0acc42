"""Operators that are to stay float, kept from ONNX Runtime's own quantizing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from mlpack_edge.converters.quantization.static.names import Constants, Names
from mlpack_edge.converters.quantization.static.operators import CLIPPING, MOVES
from mlpack_edge.converters.quantization.static.view import Array, attribute

#: Operator -> where its weights are, and which of their axes the outputs lie on, by the node.
_WEIGHTS: dict[str, Callable[[onnx.NodeProto], int]] = {
    "Conv": lambda node: 0,
    "ConvTranspose": lambda node: 1,
    "Gemm": lambda node: 0 if attribute(node, "transB", 0) else 1,
    "MatMul": lambda node: 1,
}
_MOST_BIAS = (1 << 31) - 1


class Guards:
    """Finds the operators that ONNX Runtime would quantize by itself when it loads a model (WeightBiasQuantization): float
    weights between DequantizeLinear and QuantizeLinear, which it gives one scale for all channels, whatever a search
    found out about them. It leaves those alone whose bias is no constant: such a bias becomes the DequantizeLinear of
    one in int32, in steps of 2**-31 of its largest."""

    def __init__(self, nodes: list[onnx.NodeProto], names: Names, constants: Constants) -> None:
        self._nodes, self._names, self._constants = nodes, names, constants
        self._makers = {name: node for node in nodes for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def applied(self, constant: Callable[[str], Array | None]) -> list[onnx.NodeProto]:
        """The nodes with the guards among them. constant: the content of an initializer of the float model by name."""
        done: list[onnx.NodeProto] = []
        for node in self._nodes:
            bias = self._bias(node, constant)
            if bias is not None:
                done.extend(bias)
            done.append(node)
        return done

    def _bias(self, node: onnx.NodeProto, constant: Callable[[str], Array | None]) -> list[onnx.NodeProto] | None:
        if node.op_type not in _WEIGHTS or not self._is_dequantized(node.input[0]):
            return None
        weights = constant(node.input[1])
        if weights is None or weights.dtype != np.float32:
            return None
        adding = node
        if node.op_type == "MatMul":  # which ONNX Runtime makes a Gemm of, with an Add behind it
            found = self._readers.get(node.output[0], [])
            if len(found) != 1 or found[0].op_type != "Add":
                return None
            adding = found[0]
        if not self._is_quantized(adding.output[0]):
            return None
        place = 2 if adding is node else int(adding.input[0] == node.output[0])
        given = adding.input[place] if len(adding.input) > place else ""
        bias = constant(given) if given else np.zeros(_outputs(node, weights), np.float32)
        if bias is None or bias.dtype != np.float32:
            return None
        largest = float(np.abs(bias).max(initial=0.0)) or 1.0
        scale = np.array(largest / _MOST_BIAS, np.float32)
        codes = np.clip(np.rint(bias / scale.astype(np.float64)), -_MOST_BIAS, _MOST_BIAS).astype(np.int32)
        reals = self._names.fresh("d")
        if place < len(adding.input):
            adding.input[place] = reals
        else:
            adding.input.append(reals)
        return [
            helper.make_node(
                "DequantizeLinear", [self._constants.add(codes, "b"), self._constants.add(scale, "s")], [reals]
            )
        ]

    def _is_dequantized(self, name: str) -> bool:
        """Whether a tensor is the real numbers of codes, maybe moved: ONNX Runtime moves codes where it can."""
        maker = self._makers.get(name)
        while maker is not None and maker.op_type in MOVES:
            maker = self._makers.get(maker.input[0])
        return maker is not None and maker.op_type == "DequantizeLinear"

    def _is_quantized(self, name: str) -> bool:
        """Whether QuantizeLinear alone reads a tensor, at once or behind Relu, Clip and what moves it."""
        found = self._readers.get(name, [])
        while len(found) == 1 and found[0].op_type in MOVES | CLIPPING:
            found = self._readers.get(found[0].output[0], [])
        return len(found) == 1 and found[0].op_type == "QuantizeLinear"


def _outputs(node: onnx.NodeProto, weights: Array) -> int:
    groups = int(attribute(node, "group", 1)) if node.op_type == "ConvTranspose" else 1
    return int(weights.shape[_WEIGHTS[node.op_type](node)]) * groups
