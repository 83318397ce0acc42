"""The activation functions that recurrent operators name in an attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value
from mlpack_edge.converters.tflite_graph.model import Tensor


@dataclass(frozen=True, slots=True)
class Activation:
    """One of the functions of the standard's operators RNN, GRU and LSTM, with its alpha and beta."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    def emit(self, low: Lowering, tensor: Tensor, shape: tuple[Size, ...]) -> Tensor:
        """The function of each element of `tensor`, float32 of physical `shape`."""
        if self.name in _OWN:
            return low.emit(_OWN[self.name], [tensor], "float32", shape)
        value = low.value(tensor, Spec("float32", shape))
        return low.tensor(_COMPOSED[self.name](low, value, self.alpha, self.beta))


#: Functions that are one operator of TFLite.
_OWN = {"sigmoid": "LOGISTIC", "tanh": "TANH", "relu": "RELU"}


def _affine(low: Lowering, x: Value, alpha: float, beta: float) -> Value:
    return low.op("Add", low.op("Mul", x, _number(alpha)), _number(beta))


def _scaled_tanh(low: Lowering, x: Value, alpha: float, beta: float) -> Value:
    return low.op("Mul", low.op("Tanh", low.op("Mul", x, _number(beta))), _number(alpha))


_COMPOSED: dict[str, Callable[[Lowering, Value, float, float], Value]] = {
    "affine": _affine,
    "leakyrelu": lambda low, x, alpha, _: low.op("LeakyRelu", x, alpha=alpha),
    "thresholdedrelu": lambda low, x, alpha, _: low.op("ThresholdedRelu", x, alpha=alpha),
    "scaledtanh": _scaled_tanh,
    "hardsigmoid": lambda low, x, alpha, beta: low.op("HardSigmoid", x, alpha=alpha, beta=beta),
    "elu": lambda low, x, alpha, _: low.op("Elu", x, alpha=alpha),
    "softsign": lambda low, x, _, __: low.op("Softsign", x),
    "softplus": lambda low, x, _, __: low.op("Softplus", x),
}
#: What alpha and beta are where the node does not say: those of the operators of the same name. None: it has none.
_DEFAULTS: dict[str, tuple[float | None, float | None]] = {
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, None),
    "thresholdedrelu": (1.0, None),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, None),
}


def _number(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(value, np.float32)


def activations_of(node: Node, default: tuple[str, ...], directions: int) -> list[list[Activation]]:
    """The functions of each direction; `default`: those of one direction.

    The attributes activation_alpha and activation_beta have a number for each function that takes one, in order.
    Raises Unsupported for a function that the standard does not list.
    """
    names = [str(name) for name in node.attr("activations", default * directions)]
    if len(names) != len(default) * directions:
        raise node.refuse(f"it names {len(names)} activations where {len(default) * directions} are due")
    alphas = iter([float(number) for number in node.attr("activation_alpha", [])])
    betas = iter([float(number) for number in node.attr("activation_beta", [])])
    made = [_activation(node, name, alphas, betas) for name in names]
    return [made[start : start + len(default)] for start in range(0, len(made), len(default))]


def _activation(node: Node, name: str, alphas: Iterator[float], betas: Iterator[float]) -> Activation:
    key = name.lower()
    if key not in _OWN and key not in _COMPOSED:
        raise node.refuse(f"its activation {name!r} is none of the standard's")
    alpha, beta = _DEFAULTS.get(key, (None, None))
    alpha = None if alpha is None else next(alphas, alpha)
    beta = None if beta is None else next(betas, beta)
    return Activation(key, alpha or 0.0, beta or 0.0)
