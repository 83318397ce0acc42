"""Calibrated classifiers, and the isotonic regression they use."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.predictions import (
    both_sides,
    classification,
    features,
    normalised,
    regression,
)
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, beside, taken, tensor


def interpolated(scope: Scope, estimator: Estimator, t: Tensor) -> Tensor:
    """IsotonicRegression.predict for t `[batch]`: linear between the thresholds, in the dtype of the thresholds."""
    if estimator.out_of_bounds == "raise":
        raise scope.refuse(estimator, "out_of_bounds='raise': a model cannot stop on one row")
    knots, heights = np.asarray(estimator.X_thresholds_), np.asarray(estimator.y_thresholds_)
    dtype = str(knots.dtype)
    x, y = knots.astype(np.float64), heights.astype(np.float64)
    at = t.rounded(dtype)
    low, high = float(estimator.X_min_), float(estimator.X_max_)
    inside = at.clip(low, high)
    if len(x) == 1:
        value = inside * 0.0 + float(y[0])
    else:
        above = (inside.column() > Tensor(scope.graph, scope.graph.const(x[None, 1:-1]), "float64")).cast("int64")
        place = above.sum(keep=False) if len(x) > 2 else inside.cast("int64") * 0
        slope = np.diff(y) / np.diff(x)
        left, start = taken(scope.graph, x[:-1], place), taken(scope.graph, y[:-1], place)
        value = taken(scope.graph, slope, place) * (inside - left) + start
    if estimator.out_of_bounds == "nan" and len(x) > 1:
        value = ((at < low) | (at > high)).where(float("nan"), value)
    return value.rounded(dtype)


def isotonic(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """IsotonicRegression as a predictor."""
    return regression(interpolated(scope, estimator, features(scope, frame).vector()))


def isotonic_transform(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """IsotonicRegression before another step; its `transform` gives `[batch]`, which a step takes as a column."""
    return frame_of(interpolated(scope, estimator, features(scope, frame).vector()).column().value(1))


def responses(scope: Scope, estimator: Estimator, frame: Frame, suffix: str) -> tuple[Tensor, bool]:
    """(decision function, or probabilities where there is none; whether they are probabilities), float64.

    `[batch]` for two classes, then of the second class, as sklearn.utils._response._get_response_values gives it.
    """
    made = scope.predict(estimator, frame, suffix)
    if hasattr(estimator, "decision_function"):
        if made.scores is None:
            raise scope.child(suffix).refuse(estimator, "its decision function is needed and has no converter")
        return tensor(scope.graph, made.scores, "float64"), False
    if made.probabilities is None:
        raise scope.child(suffix).refuse(estimator, "its probabilities are needed and have no converter")
    shares = tensor(scope.graph, made.probabilities, "float64")
    return (shares.take([1]).vector(), True) if len(estimator.classes_) == 2 else (shares, True)


def calibrated(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """CalibratedClassifierCV: the mean of its calibrated classifiers, each normalised over the classes."""
    total: Tensor | None = None
    for index, part in enumerate(estimator.calibrated_classifiers_):
        suffix = f".calibrated_classifiers_[{index}].estimator"
        shares = _calibrated_part(scope, estimator, part, frame, suffix)
        total = shares if total is None else total + shares
    assert total is not None
    return classification(scope, estimator, total / float(len(estimator.calibrated_classifiers_)))


def _calibrated_part(scope: Scope, owner: Estimator, part: Estimator, frame: Frame, suffix: str) -> Tensor:
    """sklearn.calibration._CalibratedClassifier.predict_proba."""
    scores, are_shares = responses(scope, part.estimator, frame, suffix)
    count = len(part.classes)
    if part.method == "temperature":
        return _ceiling((_logits(scores, are_shares) * float(part.calibrators[0].beta_)).softmax())
    columns = scores.column()
    places = np.searchsorted(part.classes, part.estimator.classes_)
    found: dict[int, Tensor] = {}
    width = 1 if scores.rank == 1 else count
    for column, (place, calibrator) in enumerate(zip(places, part.calibrators, strict=False)):
        own = scores if width == 1 else columns.take([column]).vector()
        found[int(place) + (1 if count == 2 else 0)] = _one(scope, owner, calibrator, own)
    if count == 2:
        return _ceiling(both_sides(found[1]))
    zeros = columns.take([0]) * 0.0
    return _ceiling(normalised(beside([found.get(place, zeros) for place in range(count)]), count))


def _one(scope: Scope, owner: Estimator, calibrator: Estimator, scores: Tensor) -> Tensor:
    kind = type(calibrator).__name__
    if kind == "_SigmoidCalibration":
        return (-(scores * float(calibrator.a_) + float(calibrator.b_))).sigmoid()
    if kind == "IsotonicRegression":
        return interpolated(scope, calibrator, scores)
    raise scope.refuse(owner, f"a calibrator of the class {kind}")


def _logits(scores: Tensor, are_shares: bool) -> Tensor:
    """sklearn.calibration._convert_to_logits."""
    if are_shares:
        return ((both_sides(scores) if scores.rank == 1 else scores) + 1e-12).log()
    return beside([-scores, scores]) if scores.rank == 1 else scores


def _ceiling(shares: Tensor) -> Tensor:
    """Probabilities that rounding put just above 1 become 1."""
    return ((shares > 1.0) & (shares <= 1.0 + 1e-5)).where(1.0, shares)


CONVERTERS: dict[str, Converter] = {
    "sklearn.calibration.CalibratedClassifierCV": calibrated,
    "sklearn.isotonic.IsotonicRegression": isotonic,
}
TRANSFORMS: dict[str, Converter] = {"sklearn.isotonic.IsotonicRegression": isotonic_transform}
