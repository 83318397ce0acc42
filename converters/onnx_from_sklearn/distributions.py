"""Transformers that change the distribution of a feature: PowerTransformer and QuantileTransformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.elementwise import expm1, log1p, normal_quantile
from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.decomposition import floats
from mlpack_edge.converters.onnx_from_sklearn.scalers import standard_scaler
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, beside, const, taken

Array = NDArray[Any]
#: scipy.special.boxcox computes otherwise where the power would overflow.
_LARGEST_EXPONENT = 709.78


def power_transformer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """PowerTransformer.transform: Yeo-Johnson or Box-Cox, then standardized.

    Box-Cox of numbers that are not positive, on which scikit-learn raises, gives NaN.
    """
    x = floats(scope, frame)
    lambdas = np.asarray(estimator.lambdas_).reshape(1, -1)
    made = (_yeo_johnson if estimator.method == "yeo-johnson" else _box_cox)(x, lambdas).cast(x.dtype)
    changed = frame_of(made.value(frame.width))
    return standard_scaler(scope, estimator._scaler, changed) if estimator.standardize else changed


def _yeo_johnson(x: Tensor, lambdas: Array) -> Tensor:
    """scipy.stats.yeojohnson a column, float64 numbers rounded to float32 where both sides are float32.

    Both sides of zero are worked out and one is taken.
    """
    dtype = str(np.result_type(np.dtype(x.dtype), lambdas.dtype))
    eps = np.finfo(np.dtype(dtype)).eps
    up, down = lambdas.copy(), 2 - lambdas
    flat_up, flat_down = np.abs(up) < eps, np.abs(down) <= eps
    up[flat_up], down[flat_down] = 1.0, 1.0
    # numpy takes log1p in the dtype of the batch
    logs = log1p(x.abs().cast("float64")).rounded(x.dtype)
    above, below = _power(logs, up, dtype), -_power(logs, down, dtype)
    if flat_up.any():
        above = const(x.graph, flat_up).where(logs, above)
    if flat_down.any():
        below = const(x.graph, flat_down).where(-logs, below)
    return (x >= 0.0).where(above, below)


def _power(logs: Tensor, exponents: Array, dtype: str) -> Tensor:
    """expm1(exponent * log) / exponent, each step rounded to `dtype`."""
    grown = expm1((logs * exponents).rounded(dtype)).rounded(dtype)
    return (grown / exponents).rounded(dtype)


def _box_cox(x: Tensor, lambdas: Array) -> Tensor:
    """scipy.special.boxcox a column, float64."""
    lambdas = lambdas.astype(np.float64)
    wide = x.cast("float64")
    logs = (wide > 0.0).where(wide, np.nan).log()
    flat = np.abs(lambdas) < 1e-19
    safe = np.where(flat, 1.0, lambdas)
    exponent = logs * safe
    large = (exponent - np.log(np.abs(safe))).exp() * np.sign(safe) - 1 / safe
    made = (exponent < _LARGEST_EXPONENT).where(expm1(exponent) / safe, large)
    return const(x.graph, flat).where(logs, made) if flat.any() else made


def quantile_transformer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """QuantileTransformer._transform_col for each column."""
    x = floats(scope, frame)
    made = [
        _quantile_column(estimator, x.take([index]), np.asarray(estimator.quantiles_[:, index]))
        for index in range(frame.width)
    ]
    return frame_of(beside(made).value(frame.width))


def _quantile_column(estimator: Estimator, x: Tensor, quantiles: Array) -> Tensor:
    """One column `[batch, 1]`: the mean of the interpolations from below and from above, then the bounds."""
    from sklearn.preprocessing._data import BOUNDS_THRESHOLD

    normal = estimator.output_distribution == "normal"
    wide = x.cast("float64")
    knots, references = quantiles.astype(np.float64), np.asarray(estimator.references_, np.float64)
    up = _interpolated(wide, knots, references)
    down = _interpolated(-wide, -knots[::-1], -references[::-1])
    made = ((up - down) * 0.5).cast(x.dtype)
    if normal:  # the threshold takes the dtype of the batch
        lower = (x - BOUNDS_THRESHOLD).cast("float64") < float(knots[0])
        upper = (x + BOUNDS_THRESHOLD).cast("float64") > float(knots[-1])
    else:
        lower, upper = wide.equals(float(knots[0])), wide.equals(float(knots[-1]))
    made = lower.where(0.0, upper.where(1.0, made, x.dtype), x.dtype)
    if normal:
        least = BOUNDS_THRESHOLD - float(np.spacing(1))
        made = normal_quantile(made.cast("float64").clip(least, 1.0 - least)).cast(x.dtype)
    return x.is_nan().where(x, made)


def _interpolated(x: Tensor, knots: Array, values: Array) -> Tensor:
    """np.interp(x, knots, values): among equal knots the last one counts."""
    count = (x >= const(x.graph, knots.reshape(1, -1))).cast("float32").sum()
    place = (count - 1.0).most(0.0).cast("int64")
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.append(np.diff(values) / np.diff(knots), 0.0)
    slopes[~np.isfinite(slopes)] = 0.0  # between equal knots: never the last of them
    tables = (taken(x.graph, table, place.vector()).column() for table in (slopes, knots, values))
    slope, start, value = tables
    made = slope * (x - start) + value
    return count.equals(0.0).where(float(values[0]), made)


CONVERTERS: dict[str, Converter] = {
    "sklearn.preprocessing.PowerTransformer": power_transformer,
    "sklearn.preprocessing.QuantileTransformer": quantile_transformer,
}
