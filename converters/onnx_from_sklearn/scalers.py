"""Scalers, with scikit-learn's own rounding: behind one of them a tree sees the very bits it was trained on.

`X -= mean` on a float32 batch and a float64 mean is computed in float64 and rounded to float32 by numpy; each step here
does the same. `x / scale` is a division, never a product with the reciprocal.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.decomposition import floats, minus, over, promoted
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, beside

Array = NDArray[Any]


def _clipped(x: Tensor, low: float, high: float) -> Tensor:
    """np.clip, which keeps NaN."""
    narrow = x.clip(low, high)
    return x.is_nan().where(x, narrow)


def standard_scaler(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """StandardScaler.transform."""
    x = floats(scope, frame)
    if estimator.with_mean:
        x = minus(x, _statistic(x, estimator.mean_), in_place=True)
    if estimator.with_std:
        x = over(x, _statistic(x, estimator.scale_), in_place=True)
    return frame_of(x.value(frame.width))


def _statistic(x: Tensor, fitted: Array) -> Array:
    return np.asarray(fitted).astype(x.dtype) if rounds_statistics() else np.asarray(fitted)


@cache
def rounds_statistics() -> bool:
    """Whether the installed StandardScaler rounds its mean to float32 before it is taken from a float32 batch.

    Newer ones do (`X -= xp.astype(self.mean_, X.dtype)`), older ones do not; so it is asked.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler(with_std=False).fit(np.array([[0.1], [0.2]]))
    row = np.array([[0.15]], np.float32)
    return bool(scaler.transform(row)[0, 0] == row[0, 0] - np.float32(scaler.mean_[0]))


def min_max_scaler(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """MinMaxScaler.transform."""
    x = floats(scope, frame)
    scaled = (promoted(x, estimator.scale_) * estimator.scale_.reshape(1, -1)).cast(x.dtype)
    made = minus(scaled, -estimator.min_, in_place=True)
    if estimator.clip:
        made = _clipped(made, *estimator.feature_range)
    return frame_of(made.value(frame.width))


def max_abs_scaler(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """MaxAbsScaler.transform."""
    made = over(floats(scope, frame), estimator.scale_, in_place=True)
    if getattr(estimator, "clip", False):
        made = _clipped(made, -1.0, 1.0)
    return frame_of(made.value(frame.width))


def robust_scaler(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """RobustScaler.transform."""
    x = floats(scope, frame)
    if estimator.with_centering:
        x = minus(x, estimator.center_, in_place=True)
    if estimator.with_scaling:
        x = over(x, estimator.scale_, in_place=True)
    return frame_of(x.value(frame.width))


def normalizer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """Normalizer.transform: rows of unit l1, l2 or max norm; a norm below ten units in the last place of 1 is none.

    The sums are taken in float64, so that in float32 they may differ from numpy's in the last place.
    """
    return frame_of(normalized(floats(scope, frame), estimator.norm).value(frame.width))


def normalized(x: Tensor, norm: str) -> Tensor:
    """sklearn.preprocessing.normalize on a dense matrix."""
    wide = x.cast("float64")
    if norm == "max":
        norms = x.abs().max()
    elif norm == "l1":
        norms = wide.abs().sum().cast(x.dtype)
    else:
        norms = (wide * wide).sum().sqrt().cast(x.dtype)
    least = 10 * float(np.finfo(np.dtype(x.dtype)).eps)
    return x / (norms < least).where(1.0, norms, x.dtype)


def binarizer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """Binarizer.transform: 1 above the threshold, else 0, in the dtype that comes in."""
    kept = frame.dense(scope.graph)
    x = floats(scope, frame)
    if isinstance(estimator.threshold, np.float64):  # no Python number: it does not take the dtype of the batch
        x = x.cast("float64")
    return frame_of((x > float(estimator.threshold)).cast(kept.dtype).value(frame.width))


def polynomial_features(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """PolynomialFeatures.transform on dense rows: each column of a degree is one of the degree below times a feature."""
    x = floats(scope, frame)
    width = frame.width
    parts: list[Tensor] = []
    if estimator.include_bias:
        one = scope.graph.op("Expand", scope.graph.const(np.ones((1, 1)), x.dtype), _rows_by_one(scope, x))
        parts.append(Tensor(scope.graph, one, x.dtype))
    combinations: list[tuple[int, ...]] = [(index,) for index in range(width)]
    block = x
    for degree in range(1, estimator._max_degree + 1):
        if degree > 1:
            pairs = [
                (feature, place)
                for feature in range(width)
                for place, rest in enumerate(combinations)
                if (rest[0] > feature if estimator.interaction_only else rest[0] >= feature)
            ]
            if not pairs:
                break
            combinations = [(feature, *combinations[place]) for feature, place in pairs]
            block = block.take([place for _, place in pairs]) * x.take([feature for feature, _ in pairs])
        if degree >= max(1, estimator._min_degree):
            parts.append(block)
    return frame_of(beside(parts).value(int(estimator.n_output_features_)))


def _rows_by_one(scope: Scope, x: Tensor) -> str:
    batch = scope.graph.op("Shape", x.name, start=0, end=1)
    return scope.graph.op("Concat", batch, scope.graph.const(np.array([1], np.int64)), axis=0)


CONVERTERS: dict[str, Converter] = {
    "sklearn.preprocessing.StandardScaler": standard_scaler,
    "sklearn.preprocessing.MinMaxScaler": min_max_scaler,
    "sklearn.preprocessing.MaxAbsScaler": max_abs_scaler,
    "sklearn.preprocessing.RobustScaler": robust_scaler,
    "sklearn.preprocessing.Normalizer": normalizer,
    "sklearn.preprocessing.Binarizer": binarizer,
    "sklearn.preprocessing.PolynomialFeatures": polynomial_features,
}
