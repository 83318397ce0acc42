"""Activation functions."""

from __future__ import annotations

from collections.abc import Callable

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import (
    FLOATS,
    WHOLE,
    cast,
    check_broadcast,
    choose,
    compute,
    demand_floats,
    on_floats,
    unary,
)
from mlpack_edge.converters.tflite_from_onnx.values import Value


def relu(node: Node) -> Value:
    """Relu-6 to Relu-14."""
    x = node.input(0)
    if x.dtype in FLOATS:
        return unary(node, "RELU")
    if x.dtype not in WHOLE:
        raise node.refuse(f"TFLite's MAXIMUM does not take {x.dtype}")
    return compute(node.low, "MAXIMUM", x, 0)


def leaky_relu(node: Node) -> Value:
    """LeakyRelu-6 to LeakyRelu-16."""
    return unary(node, "LEAKY_RELU", demand_floats(node), alpha=float(node.attr("alpha", 0.01)))


def prelu(node: Node) -> Value:
    """PRelu-7 to PRelu-16: the slope is broadcast to the input, never the other way round."""
    x, slope = node.input(0), node.input(1)
    check_broadcast(node, [x, slope])
    if x.dtype in FLOATS:
        return compute(node.low, "PRELU", x, slope, dtype=x.dtype)
    if x.dtype not in ("int32", "int64"):
        raise node.refuse(f"the standard has it for floats, int32 and int64, and TFLite holds no {x.dtype}")
    below = compute(node.low, "LESS", x, 0, dtype="bool")
    return choose(node.low, below, compute(node.low, "MUL", x, slope), x)


def elu(node: Node) -> Value:
    """Elu-6 to Elu-22: ELU(x) is negative where x is, and there alpha multiplies it."""
    return _scaled_elu(node, float(node.attr("alpha", 1.0)))


def selu(node: Node) -> Value:
    """Selu-6 to Selu-22."""
    made = _scaled_elu(node, float(node.attr("alpha", 1.67326319217681884765625)))
    return compute(node.low, "MUL", made, float(node.attr("gamma", 1.05070102214813232421875)))


def _scaled_elu(node: Node, alpha: float) -> Value:
    made = unary(node, "ELU", demand_floats(node))
    return made if alpha == 1.0 else unary(node, "LEAKY_RELU", made, alpha=alpha)


def celu(node: Node) -> Value:
    """Celu-12: alpha * ELU(x / alpha)."""
    x, alpha = demand_floats(node), float(node.attr("alpha", 1.0))
    if alpha == 1.0:
        return unary(node, "ELU")
    if not alpha > 0:
        raise node.refuse(f"its alpha is {alpha:g}, and it has to be above 0")
    made = compute(node.low, "ELU", compute(node.low, "DIV", x, alpha))
    return compute(node.low, "MUL", made, alpha)


def hard_sigmoid(node: Node) -> Value:
    """HardSigmoid-6 to HardSigmoid-22: alpha * x + beta between 0 and 1."""
    x, low = demand_floats(node), node.low
    alpha, beta = float(node.attr("alpha", 0.2)), float(node.attr("beta", 0.5))
    return compute(low, "RELU_0_TO_1", compute(low, "ADD", compute(low, "MUL", x, alpha), beta))


def gelu(node: Node) -> Value:
    """Gelu-20; TFLite's GELU is within 1e-6."""
    approximate = node.attr("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise node.refuse(f"its approximation {approximate!r} is not known")
    return unary(node, "GELU", demand_floats(node), approximate=approximate == "tanh")


def _biased_gelu(approximate: bool) -> Callable[[Node], Value]:
    """BiasGelu (exact) and FastGelu (by tanh) of com.microsoft, into which ONNX Runtime fuses; the bias is optional."""

    def lower(node: Node) -> Value:
        x, bias = demand_floats(node), node.optional(1)
        if bias is not None:
            check_broadcast(node, [x, bias])
            x = compute(node.low, "ADD", x, bias)
        return unary(node, "GELU", x, approximate=approximate)

    return lower


def _swish(alpha: float) -> Callable[[Node], Value]:
    """Swish-24 and QuickGelu of com.microsoft: x * sigmoid(alpha * x)."""

    def lower(node: Node) -> Value:
        x, low = demand_floats(node), node.low
        factor = float(node.attr("alpha", alpha))
        inner = x if factor == 1.0 else compute(low, "MUL", x, factor)
        return compute(low, "MUL", x, compute(low, "LOGISTIC", inner))

    return lower


def mish(node: Node) -> Value:
    """Mish-18 to Mish-22: x * tanh(log(1 + e**x)), which is x * n / (n + 2) with n = e**x * (e**x + 2).

    Above 20 the fraction is 1 in float32, and n is kept finite there.
    """
    x, low = demand_floats(node), node.low
    power = compute(low, "EXP", compute(low, "MINIMUM", 20.0, x))
    n = compute(low, "MUL", power, compute(low, "ADD", power, 2.0))
    return compute(low, "MUL", x, compute(low, "DIV", n, compute(low, "ADD", n, 2.0)))


def softplus(node: Node) -> Value:
    """Softplus-1 to Softplus-22."""
    return soft_plus(node.low, demand_floats(node))


def soft_plus(low: Lowering, x: Value) -> Value:
    """log(1 + e**x) as max(x, 0) + log(1 + e**-|x|), which overflows nowhere; within 1e-7, as ONNX Runtime is."""
    power = compute(low, "EXP", compute(low, "NEG", compute(low, "ABS", x)))
    return compute(low, "ADD", compute(low, "RELU", x), compute(low, "LOG", compute(low, "ADD", power, 1.0)))


def softsign(node: Node) -> Value:
    """Softsign-1 to Softsign-22: x / (1 + |x|)."""
    x, low = demand_floats(node), node.low
    return compute(low, "DIV", x, compute(low, "ADD", compute(low, "ABS", x), 1.0))


def thresholded_relu(node: Node) -> Value:
    """ThresholdedRelu-10 to ThresholdedRelu-22: x above alpha, else 0."""
    x, alpha = demand_floats(node), float(node.attr("alpha", 1.0))
    return choose(node.low, compute(node.low, "GREATER", x, alpha, dtype="bool"), x, 0.0)


def shrink(node: Node) -> Value:
    """Shrink-9: x - bias above lambd, x + bias below -lambd, else 0."""
    x, low = node.input(0), node.low
    bias, limit = float(node.attr("bias", 0.0)), float(node.attr("lambd", 0.5))
    if x.dtype not in FLOATS:
        if x.dtype not in ("int8", "uint8", "int16"):
            raise node.refuse(f"TFLite computes it in float32, which does not hold every {x.dtype}")
        return cast(low, cast(low, _shrunk(low, cast(low, x, "float32"), bias, limit), "int32"), x.dtype)
    return _shrunk(low, x, bias, limit)


def _shrunk(low: Lowering, x: Value, bias: float, limit: float) -> Value:
    above = compute(low, "GREATER", x, limit, dtype="bool")
    below = compute(low, "LESS", x, -limit, dtype="bool")
    raised = compute(low, "ADD", x, bias) if bias else x
    lowered = compute(low, "SUB", x, bias) if bias else x
    return choose(low, below, raised, choose(low, above, lowered, 0.0))


OPERATORS = {
    "Relu": relu,
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Elu": elu,
    "Selu": selu,
    "Celu": celu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": on_floats("HARD_SWISH"),
    "Sigmoid": on_floats("LOGISTIC"),
    "Gelu": gelu,
    "Swish": _swish(1.0),
    "Mish": mish,
    "Softplus": softplus,
    "Softsign": softsign,
    "ThresholdedRelu": thresholded_relu,
    "Shrink": shrink,
    "com.microsoft:Gelu": on_floats("GELU", approximate=False),
    "com.microsoft:BiasGelu": _biased_gelu(approximate=False),
    "com.microsoft:FastGelu": _biased_gelu(approximate=True),
    "com.microsoft:QuickGelu": _swish(1.702),
}
