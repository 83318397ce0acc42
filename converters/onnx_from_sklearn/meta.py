"""Estimators that hand on to one inner estimator: selected features, moved thresholds, transformed targets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.functions import function_transformer
from mlpack_edge.converters.onnx_from_sklearn.parts import predicted, probabilities_of_part, scores_of_part
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope, pick_label
from mlpack_edge.converters.tensor import Tensor, tensor


def handed_on(attribute: str, scope: Scope, estimator: Estimator, frame: Frame) -> Frame | Prediction:
    """What the inner estimator gives is what this one gives."""
    return scope.convert(getattr(estimator, attribute), frame, f".{attribute}")


def selected(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """RFE and RFECV as predictors: the inner estimator on the columns they kept."""
    kept = frame.select(scope.graph, estimator.get_support(indices=True).tolist())
    return scope.predict(estimator.estimator_, kept, ".estimator_")


def moved_threshold(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """FixedThresholdClassifier and TunedThresholdClassifierCV: the positive class from the threshold on."""
    fitted = hasattr(estimator, "estimator_")
    inner = estimator.estimator_ if fitted else estimator.estimator
    made = scope.predict(inner, frame, ".estimator_" if fitted else ".estimator")
    classes = np.asarray(estimator.classes_)
    tuned = hasattr(estimator, "best_threshold_")
    positive = estimator._curve_scorer._get_pos_label() if tuned else estimator.pos_label
    method = estimator.response_method
    if method == "auto":
        method = "predict_proba" if hasattr(inner, "predict_proba") else "decision_function"
    where = len(classes) - 1 if positive is None else int(np.flatnonzero(classes == positive)[0])
    if method == "predict_proba":
        score, threshold = probabilities_of_part(scope, made).take([where]).vector(), 0.5
    else:
        score, threshold = scores_of_part(scope, made).vector(), 0.0
        score = -score if where == 0 else score
    if tuned:
        threshold = float(estimator.best_threshold_)
    elif estimator.threshold != "auto":
        threshold = float(estimator.threshold)
    order = classes if where == 1 else classes[::-1]
    label = pick_label(scope.graph, (score >= threshold).cast("int64").name, order)
    return Prediction(label, made.probabilities, made.scores)


def transformed_target(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """TransformedTargetRegressor: the inverse of the target's transformation after the inner regressor."""
    made = predicted(scope, scope.predict(estimator.regressor_, frame, ".regressor_"))
    column = made.column()
    width = int(getattr(estimator.transformer_, "n_features_in_", 1))
    back = _inverse(scope, estimator, estimator.transformer_, frame_of(column.value(width)))
    value = tensor(scope.graph, back.dense(scope.graph, "float64"))
    if estimator._training_dim == 1 and width == 1:
        return Prediction(value=value.vector().value())
    return Prediction(value=value.value(width))


def _inverse(scope: Scope, owner: Estimator, transformer: Estimator, frame: Frame) -> Frame:
    """`transformer.inverse_transform` of a matrix."""
    from sklearn.preprocessing import FunctionTransformer

    name = type(transformer).__name__
    if type(transformer) is FunctionTransformer:
        inverse = FunctionTransformer(transformer.inverse_func, kw_args=transformer.inv_kw_args)
        return function_transformer(scope.child(".transformer_", "transformer_"), inverse, frame)
    if name not in _INVERSES or not type(transformer).__module__.startswith("sklearn."):
        raise scope.refuse(owner, f"the inverse of {name} has no converter; these have: {', '.join(_INVERSES)}")
    value = _INVERSES[name](tensor(scope.graph, frame.dense(scope.graph, "float64")), transformer)
    return frame_of(value.value(frame.width))


def _row(array: Any) -> Any:
    return np.asarray(array, np.float64)[None, :]


def _standard(x: Tensor, fitted: Estimator) -> Tensor:
    x = x * _row(fitted.scale_) if fitted.with_std and fitted.scale_ is not None else x
    return x + _row(fitted.mean_) if fitted.with_mean else x


def _robust(x: Tensor, fitted: Estimator) -> Tensor:
    x = x * _row(fitted.scale_) if fitted.with_scaling else x
    return x + _row(fitted.center_) if fitted.with_centering else x


#: `inverse_transform` of the scalers of sklearn.preprocessing.
_INVERSES: dict[str, Callable[[Tensor, Estimator], Tensor]] = {
    "StandardScaler": _standard,
    "RobustScaler": _robust,
    "MinMaxScaler": lambda x, fitted: (x - _row(fitted.min_)) / _row(fitted.scale_),
    "MaxAbsScaler": lambda x, fitted: x * _row(fitted.scale_),
}

CONVERTERS: dict[str, Converter] = {
    "sklearn.compose.TransformedTargetRegressor": transformed_target,
    "sklearn.feature_selection.RFE": selected,
    "sklearn.feature_selection.RFECV": selected,
    "sklearn.frozen.FrozenEstimator": partial(handed_on, "estimator"),
    "sklearn.linear_model.RANSACRegressor": partial(handed_on, "estimator_"),
    "sklearn.model_selection.FixedThresholdClassifier": moved_threshold,
    "sklearn.model_selection.TunedThresholdClassifierCV": moved_threshold,
    "sklearn.semi_supervised.SelfTrainingClassifier": partial(handed_on, "estimator_"),
}
