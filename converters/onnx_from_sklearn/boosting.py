"""Gradient boosting, classic and on histograms: a raw score a class, then the inverse of the loss's link."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.predictions import both_sides, label_highest, regression
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope, pick_label
from mlpack_edge.converters.onnx_from_sklearn.trees import rows_for_trees, summed
from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.tensor import Tensor, beside, tensor
from mlpack_edge.converters.trees.emit_onnx import in_order_of_trees, leaves_of_trees
from mlpack_edge.converters.trees.from_sklearn import ensemble_from_hist, ensemble_from_trees

#: Initial estimators that say the same for every row; a DummyClassifier of another strategy draws lots.
_CONSTANT = {"DummyRegressor": None, "DummyClassifier": {"prior", "most_frequent", "constant"}}


def gradient_boosting_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The raw score; every loss of GradientBoostingRegressor has the identity as its link."""
    return regression(_raw(scope, estimator, frame).vector())


def gradient_boosting_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """GradientBoostingClassifier: of two classes the second one from a raw score of 0 on."""
    raw = _raw(scope, estimator, frame)
    if int(estimator.n_trees_per_iteration_) > 1:
        return _several_classes(scope, estimator, raw)
    return _two_classes(scope, estimator, raw, raw.vector() >= 0.0)


def _raw(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """`_raw_predict`: the initial score, then learning_rate times each tree, stage by stage, in float64."""
    stages, outputs = estimator.estimators_.shape
    trees = [part.tree_ for part in estimator.estimators_.ravel()]
    scaled = [estimator.learning_rate * tree.value[:, :, 0] for tree in trees]
    targets = np.tile(np.arange(outputs, dtype=np.int64), stages)
    base = _constant_start(scope, estimator)
    if base is not None:
        return summed(scope, frame, ensemble_from_trees(trees, scaled, outputs, targets, base))
    graph = scope.graph
    start = _start(scope, estimator, frame).reshape(-1, 1, outputs)
    apart = ensemble_from_trees(trees, scaled, outputs, targets)
    parts = tensor(graph, leaves_of_trees(graph, apart, rows_for_trees(frame, scope))).reshape(-1, stages, outputs)
    whole = beside([start, parts])
    return tensor(graph, in_order_of_trees(graph, whole.name, outputs))


def _constant_start(scope: Scope, estimator: Estimator) -> Array | None:
    """The initial score where it is the same for every row, as scikit-learn itself computes it."""
    init = estimator.init_
    if not isinstance(init, str):
        known = type(init).__module__.startswith("sklearn.dummy")
        if not known:
            return None
        strategies = _CONSTANT[type(init).__name__]
        if strategies is not None and init.strategy not in strategies:
            raise scope.refuse(estimator, f"its initial estimator draws lots (strategy={init.strategy!r})")
    made = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), np.float32))
    start: Array = made[0].astype(np.float64)
    return start


def _start(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """`_init_raw_predictions`: the link of what the initial estimator predicts on the rows in float32."""
    single = frame_of(frame.dense(scope.graph, "float32"), frame.names)
    made = scope.predict(estimator.init_, single, ".init_")
    if made.probabilities is None:
        if made.value is None:
            raise scope.refuse(estimator, "its initial estimator gives neither values nor probabilities")
        return tensor(scope.graph, made.value, "float64").column()
    chances = tensor(scope.graph, made.probabilities, "float64")
    several = int(estimator.n_trees_per_iteration_) > 1
    tiny = float(np.finfo(np.float64).eps)
    inside = (chances if several else chances.columns(1, 2)).clip(tiny, 1 - tiny)
    if several:  # MultinomialLogit: log(p / geometric mean)
        logs = inside.log()
        return logs - logs.sum() / float(estimator.n_trees_per_iteration_)
    odds = (inside / (1.0 - inside)).log()
    return odds * 0.5 if _link(estimator) == "HalfLogitLink" else odds


def _link(estimator: Estimator) -> str:
    return type(estimator._loss.link).__name__


def _two_classes(scope: Scope, estimator: Estimator, raw: Tensor, second: Tensor) -> Prediction:
    link = _link(estimator)
    if link not in ("LogitLink", "HalfLogitLink"):
        raise scope.refuse(estimator, f"its link {link} is not known")
    scaled = raw * 2.0 if link == "HalfLogitLink" else raw
    return Prediction(
        label=pick_label(scope.graph, second.cast("int64").name, estimator.classes_),
        probabilities=both_sides(scaled.sigmoid()).value(2),
        scores=raw.vector().value(),
    )


def _several_classes(scope: Scope, estimator: Estimator, raw: Tensor) -> Prediction:
    return Prediction(
        label=label_highest(scope, raw, estimator.classes_),
        probabilities=raw.softmax().value(len(estimator.classes_)),
        scores=raw.value(len(estimator.classes_)),
    )


def hist_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """HistGradientBoostingClassifier: of two classes the second one above a raw score of 0."""
    raw = _hist_raw(scope, estimator, frame)
    if int(estimator.n_trees_per_iteration_) > 1:
        return _several_classes(scope, estimator, raw)
    return _two_classes(scope, estimator, raw, raw.vector() > 0.0)


def hist_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """HistGradientBoostingRegressor: the raw score, or its exponential for the losses poisson and gamma."""
    raw = _hist_raw(scope, estimator, frame).vector()
    link = _link(estimator)
    if link not in ("IdentityLink", "LogLink"):
        raise scope.refuse(estimator, f"its link {link} is not known")
    return regression(raw.exp() if link == "LogLink" else raw)


def _hist_raw(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """`_raw_predict`: the baseline, then each tree, iteration by iteration, in float64.

    With categorical columns scikit-learn fits an OrdinalEncoder and puts its codes before the numeric columns; the
    trees number their columns in that order.
    """
    base = np.asarray(estimator._baseline_prediction, np.float64).reshape(-1)
    ensemble = ensemble_from_hist(estimator._predictors, base)
    if estimator._preprocessor is None:
        return summed(scope, frame, ensemble)
    categorical = np.asarray(estimator.is_categorical_, np.bool_)
    graph = scope.graph
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    chosen = frame.select(graph, np.flatnonzero(categorical).tolist())
    codes = scope.transform(encoder, chosen, "._preprocessor.named_transformers_['encoder']", "encoder")
    blocks = list(codes.blocks)
    if not categorical.all():
        plain = frame.select(graph, np.flatnonzero(~categorical).tolist())
        blocks += frame_of(plain.dense(graph, "float64"), plain.names).blocks
    return summed(scope, Frame(tuple(blocks)), ensemble)


CONVERTERS: dict[str, Converter] = {
    "sklearn.ensemble.GradientBoostingClassifier": gradient_boosting_classifier,
    "sklearn.ensemble.GradientBoostingRegressor": gradient_boosting_regressor,
    "sklearn.ensemble.HistGradientBoostingClassifier": hist_classifier,
    "sklearn.ensemble.HistGradientBoostingRegressor": hist_regressor,
}
