"""Elementary functions that ONNX lacks, to a few units in the last place of float64."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tensor import Tensor


def log1p(x: Tensor) -> Tensor:
    """log(1 + x) without the rounding of 1 + x (Goldberg 1991, theorem 4). float64."""
    whole = x + 1.0
    ratio = x / (whole - 1.0)
    made = whole.equals(1.0).where(x, whole.log() * ratio)
    return whole.equals(np.inf).where(whole, made)


def expm1(x: Tensor) -> Tensor:
    """exp(x) - 1 without its cancellation (Kahan; Higham 2002, algorithm 1.14.1). float64."""
    power = x.exp()
    less = power - 1.0
    made = less * (x / power.log())
    made = power.equals(1.0).where(x, made)
    return (power.equals(np.inf) | less.equals(-1.0)).where(less, made)


def log_to_base(x: Tensor, base: float) -> Tensor:
    """log2 or log10, a whole number where x is a power of the base, as in the C library. float64."""
    made = x.log() / float(np.log(base))
    nearest = rint(made)
    power = Tensor(x.graph, x.graph.op("Pow", x.graph.const(np.array(base)), nearest.name), "float64", x.rank)
    return power.equals(x).where(nearest, made)


def cube_root(x: Tensor) -> Tensor:
    """The real cube root: exp(log|x| / 3) and two steps of Newton. float64."""
    size = x.abs()
    made = (size.log() / 3.0).exp()
    for _ in range(2):
        made = made - (made - size / (made * made)) / 3.0
    signed = made * sign(x)
    return (x.equals(0.0) | size.equals(np.inf)).where(x, signed)


def arcsinh(x: Tensor) -> Tensor:
    """The inverse hyperbolic sine, by log1p for small and by log(2x) for large x (as fdlibm). float64."""
    size = x.abs()
    capped = size.least(1e8)
    square = capped * capped
    small = log1p(capped + square / ((square + 1.0).sqrt() + 1.0))
    made = (size > 1e8).where(size.log() + float(np.log(2.0)), small)
    return x.equals(0.0).where(x, made * sign(x))


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1, NaN for NaN (ONNX Runtime's Sign says 0 there)."""
    made = Tensor(x.graph, x.graph.op("Sign", x.name), x.dtype, x.rank)
    return x.is_nan().where(x, made)


def rint(x: Tensor) -> Tensor:
    """The nearest whole number, the even one of two."""
    return unary("Round", x)


def trunc(x: Tensor) -> Tensor:
    """The whole part."""
    return unary("Floor", x.abs()) * sign(x)


def unary(op: str, x: Tensor) -> Tensor:
    """An ONNX operator of one argument, in x's dtype."""
    return Tensor(x.graph, x.graph.op(op, x.name), x.dtype, x.rank)


_CENTRE = (
    (-5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1, 1.39312609387279679503e1,
     -1.23916583867381258016e0),
    (1.0, 1.95448858338141759834e0, 4.67627912898881538453e0, 8.63602421390890590575e1, -2.25462687854119370527e2,
     2.00260212380060660359e2, -8.20372256168333339912e1, 1.59056225126211695515e1, -1.18331621121330003142e0),
)  # fmt: skip
_TAIL = (
    (4.05544892305962419923e0, 3.15251094599893866154e1, 5.71628192246421288162e1, 4.40805073893200834700e1,
     1.46849561928858024014e1, 2.18663306850790267539e0, -1.40256079171354495875e-1, -3.50424626827848203418e-2,
     -8.57456785154685413611e-4),
    (1.0, 1.57799883256466749731e1, 4.53907635128879210584e1, 4.13172038254672030440e1, 1.50425385692907503408e1,
     2.50464946208309415979e0, -1.42182922854787788574e-1, -3.80806407691578277194e-2, -9.33259480895457427372e-4),
)  # fmt: skip


def normal_quantile(y: Tensor) -> Tensor:
    """The inverse of the standard normal distribution for 1e-14 < y < 1 - 1e-14 (Cephes ndtri, as scipy.special has it)."""
    edge = float(np.exp(-2.0))
    upper = y > 1.0 - edge
    folded = upper.where(1.0 - y, y)
    centred = folded - 0.5
    square = centred * centred
    middle = (centred + centred * (square * _polynomial(square, _CENTRE[0]) / _polynomial(square, _CENTRE[1]))) * float(
        np.sqrt(2.0 * np.pi)
    )
    root = (folded.log() * -2.0).sqrt()
    inverse = 1.0 / root
    tail = (root - root.log() / root) - inverse * _polynomial(inverse, _TAIL[0]) / _polynomial(inverse, _TAIL[1])
    return (folded > edge).where(middle, upper.where(tail, -tail))


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Horner's rule, the highest power first."""
    made = x * coefficients[0] + coefficients[1]
    for number in coefficients[2:]:
        made = made * x + number
    return made
