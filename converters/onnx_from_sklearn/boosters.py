"""The scikit-learn wrappers of XGBoost, LightGBM and CatBoost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_boosters.catboost import boosted_from_booster as catboost_trees
from mlpack_edge.converters.onnx_from_boosters.lightgbm import boosted_from_booster as lightgbm_trees
from mlpack_edge.converters.onnx_from_boosters.xgboost import boosted_from_booster as xgboost_trees
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Value
from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.booster_frames import number_matrix, predict, prediction
from mlpack_edge.converters.trees.margins import margins
from mlpack_edge.converters.trees.objectives import Outcome, outcome


def _numbers(scope: Scope, boosted: Boosted, frame: Frame) -> Value:
    """The number matrix of the booster; columns that were data-frame categories are taken by value."""
    by_value = [index for index, _ in boosted.categories]
    return number_matrix(scope.graph, boosted, frame, by_value)


def _outcome(scope: Scope, library: str, boosted: Boosted, frame: Frame) -> Outcome:
    """What the booster gives."""
    return predict(scope.graph, library, boosted, _numbers(scope, boosted, frame))


def _xgboost(estimator: Estimator) -> Boosted:
    """As `XGBModel.predict` runs it: best iteration, `missing`, and `inplace_predict` for all but gblinear."""
    _, end = estimator._get_iteration_range(None)
    missing = estimator.missing
    known = missing is not None and not math.isnan(missing)
    return xgboost_trees(
        estimator.get_booster(),
        rounds=int(end) or None,
        in_place=bool(estimator._can_use_inplace_predict()),
        missing=float(missing) if known else None,
    )


def xgboost_value(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """XGBRegressor, XGBRFRegressor, XGBRanker."""
    boosted = _xgboost(estimator)
    made = _outcome(scope, "XGBoost", boosted, frame)
    if made.value is not None:
        return prediction(scope.graph, made, boosted.outputs, None)
    found = made.positive or made.scores
    if found is None:
        raise scope.refuse(estimator, f"a regressor with the classification objective {boosted.objective!r}")
    return Prediction(value=found.vector().value())


def xgboost_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """XGBClassifier, XGBRFClassifier: `predict` takes p > 0.5, or the largest probability; labels are 0, 1, ..."""
    boosted = _xgboost(estimator)
    if callable(estimator.objective):
        raise scope.refuse(estimator, "its objective is a function of the user's; what it predicts is not known")
    made = _outcome(scope, "XGBoost", boosted, frame)
    if made.value is not None and boosted.objective == "binary:logistic":  # several labels a row
        label = (made.value > 0.5).cast("float64").value(boosted.outputs)
        return Prediction(label=label, probabilities=made.value.value(boosted.outputs))
    if made.scores is not None:  # binary:logitraw: the wrapper takes the margin for a probability
        made = Outcome(positive=made.scores, index=(made.scores > 0.5).cast("int64").vector())
    if made.index is None or (made.probabilities is not None and estimator.n_classes_ == 2):
        raise scope.refuse(
            estimator,
            f"it predicts no single class with the objective {boosted.objective!r} and {boosted.outputs} outputs "
            f"for {estimator.n_classes_} classes",
        )
    return prediction(scope.graph, made, boosted.outputs, np.asarray(estimator.classes_))


def lightgbm_value(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """LGBMRegressor, LGBMRanker."""
    boosted = lightgbm_trees(estimator.booster_)
    made = _outcome(scope, "LightGBM", boosted, frame)
    if made.value is None:
        found = made.positive.vector().value() if made.positive is not None else None
        wide = made.probabilities.value(boosted.outputs) if made.probabilities is not None else None
        return Prediction(value=found or wide)
    return prediction(scope.graph, made, boosted.outputs, None)


def lightgbm_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """LGBMClassifier: the class of the largest of (1 - p, p), or of the probabilities.

    Its decision function is the sum of the trees, which a random forest divides for the probabilities only.
    """
    boosted = lightgbm_trees(estimator.booster_)
    if callable(estimator._objective):
        raise scope.refuse(estimator, "its objective is a function of the user's; it predicts raw scores, no class")
    raw = margins(scope.graph, replace(boosted, divisor=1), _numbers(scope, boosted, frame))
    mean = raw if boosted.divisor == 1 else raw / float(boosted.divisor)
    made = outcome("LightGBM", boosted.objective, mean, boosted.outputs, boosted.parameter)
    if made.value is not None and boosted.outputs == 1:
        made = Outcome(positive=made.value)
    if made.positive is not None:
        above = (made.positive > 1.0 - made.positive).cast("int64").vector()
        made = Outcome(positive=made.positive, index=above)
    if made.index is None or len(estimator.classes_) != max(boosted.outputs, 2):
        raise scope.refuse(
            estimator,
            f"the objective {boosted.objective!r} gives {boosted.outputs} outputs for {len(estimator.classes_)} classes",
        )
    scores = raw.vector().value() if boosted.outputs == 1 else raw.value(boosted.outputs)
    return replace(prediction(scope.graph, made, boosted.outputs, estimator.classes_), scores=scores)


def catboost_value(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """CatBoostRegressor, CatBoostRanker: raw values, exp of them for Poisson and Tweedie."""
    boosted = catboost_trees(estimator)
    made = _outcome(scope, "CatBoost", boosted, frame)
    if made.value is None:
        raise scope.refuse(estimator, f"a regressor with the classification loss {boosted.objective!r}")
    return prediction(scope.graph, made, boosted.outputs, None)


def catboost_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """CatBoostClassifier: the margin above the border of its probability threshold, or the largest margin."""
    boosted = catboost_trees(estimator)
    made = _outcome(scope, "CatBoost", boosted, frame)
    if made.index is None:
        raise scope.refuse(estimator, f"it predicts no single class with the loss {boosted.objective!r}")
    return prediction(scope.graph, made, boosted.outputs, estimator.classes_)


CONVERTERS: dict[str, Converter] = {
    "xgboost.sklearn.XGBClassifier": xgboost_classifier,
    "xgboost.sklearn.XGBRFClassifier": xgboost_classifier,
    "xgboost.sklearn.XGBRegressor": xgboost_value,
    "xgboost.sklearn.XGBRFRegressor": xgboost_value,
    "xgboost.sklearn.XGBRanker": xgboost_value,
    "lightgbm.sklearn.LGBMClassifier": lightgbm_classifier,
    "lightgbm.sklearn.LGBMRegressor": lightgbm_value,
    "lightgbm.sklearn.LGBMRanker": lightgbm_value,
    "catboost.core.CatBoostClassifier": catboost_classifier,
    "catboost.core.CatBoostRegressor": catboost_value,
    "catboost.core.CatBoostRanker": catboost_value,
}
