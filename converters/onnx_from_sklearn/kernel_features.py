"""Explicit feature maps of kernels: Fourier samplers and count sketches (sklearn.kernel_approximation)."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.decomposition import dot, floats, minus
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, beside


def _wave(op: str, x: Tensor) -> Tensor:
    """Cos or Sin: in float64, rounded to x's dtype, since numpy's float32 kernel is nearly exact and ONNX Runtime's
    less so for large arguments.
    """
    wide = x.cast("float64")
    return Tensor(x.graph, x.graph.op(op, wide.name), "float64", x.rank).cast(x.dtype)


def _log(x: Tensor) -> Tensor:
    return x.cast("float64").log().cast(x.dtype)


def _cosines(estimator: Estimator, x: Tensor, factor: float) -> Frame:
    """cos(x @ weights + offset) * factor, each step in place."""
    projected = minus(dot(x, estimator.random_weights_), -estimator.random_offset_, in_place=True)
    return frame_of((_wave("Cos", projected) * factor).value(estimator.random_offset_.shape[0]))


def rbf_sampler(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """RBFSampler.transform: random Fourier features (Rahimi and Recht 2007)."""
    return _cosines(estimator, floats(scope, frame), (2.0 / estimator.n_components) ** 0.5)


def skewed_chi2_sampler(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """SkewedChi2Sampler.transform. Values up to -skewedness, on which scikit-learn raises, give NaN."""
    shifted = floats(scope, frame) + float(estimator.skewedness)
    above = (shifted > 0.0).where(shifted, np.nan)
    return _cosines(estimator, _log(above), float(np.sqrt(2.0) / np.sqrt(estimator.n_components)))


def additive_chi2_sampler(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """AdditiveChi2Sampler._transform_dense. Negative values, on which scikit-learn raises, give NaN."""
    if frame.dtype not in ("float32", "float64"):
        raise scope.refuse(estimator, "its input is of whole numbers, to which scikit-learn rounds the features down")
    x = floats(scope, frame)
    interval = estimator.sample_interval or {1: 0.8, 2: 0.5, 3: 0.4}[estimator.sample_steps]
    zero = x.equals(0.0)
    parts = [(x * interval).sqrt()]
    logs = _log(x) * interval
    doubled = (x * 2.0 * interval).cast("float64")
    for step in range(1, estimator.sample_steps):
        factor = (doubled / float(np.cosh(np.pi * step * interval))).sqrt()
        for op in ("Cos", "Sin"):
            turned = _wave(op, logs * float(step)).cast("float64")
            parts.append(zero.where(0.0, (factor * turned).cast(x.dtype), x.dtype))
    return frame_of(beside(parts).value(frame.width * len(parts)))


def polynomial_count_sketch(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """PolynomialCountSketch.transform: count sketches multiplied in the frequency domain (Pham and Pagh 2013).

    A count sketch is linear in the row, so its Fourier transform is, too: one matrix a degree for the real and one for
    the imaginary part of the n/2 + 1 frequencies of a real signal, and one of each back.
    """
    count, width = estimator.n_components, frame.width
    size = count // 2 + 1
    x = floats(scope, frame)
    gamma = np.float64(np.sqrt(estimator.gamma))
    scaled = x.cast("float64") * gamma
    bias = np.sqrt(estimator.coef0)
    real, imaginary = None, None
    for index, sign in zip(estimator.indexHash_, estimator.bitHash_, strict=True):
        sketch = np.zeros((index.shape[0], count))
        sketch[np.arange(index.shape[0]), index] = sign
        spectrum = np.fft.rfft(sketch, axis=1)
        a, b = (scaled @ np.ascontiguousarray(part[:width]) for part in (spectrum.real, spectrum.imag))
        if estimator.coef0 != 0:
            a, b = a + bias * spectrum.real[width:], b + bias * spectrum.imag[width:]
        if real is None or imaginary is None:
            real, imaginary = a, b
        else:
            real, imaginary = real * a - imaginary * b, real * b + imaginary * a
    assert real is not None and imaginary is not None
    back_real, back_imaginary = (np.fft.irfft(unit * np.eye(size), n=count, axis=1) for unit in (1.0, 1.0j))
    return frame_of((real @ back_real + imaginary @ back_imaginary).value(count))


CONVERTERS: dict[str, Converter] = {
    "sklearn.kernel_approximation.RBFSampler": rbf_sampler,
    "sklearn.kernel_approximation.SkewedChi2Sampler": skewed_chi2_sampler,
    "sklearn.kernel_approximation.AdditiveChi2Sampler": additive_chi2_sampler,
    "sklearn.kernel_approximation.PolynomialCountSketch": polynomial_count_sketch,
}
