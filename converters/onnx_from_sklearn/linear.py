"""Linear models: a weighted sum, a link, and for classifiers the class and its probability."""

from __future__ import annotations

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.predictions import (
    answered_dtype,
    both_sides,
    classification,
    inlier,
    label_above,
    label_highest,
    linear,
    normalised,
    regression,
)
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor


def regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """sklearn.linear_model._base.LinearModel.predict."""
    value = linear(scope, frame, estimator.coef_, estimator.intercept_)
    return regression(value, None if value.rank == 1 else estimator.coef_.shape[0])


def flat_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """SGDRegressor, LinearSVR: always `[batch]`."""
    return regression(linear(scope, frame, estimator.coef_, estimator.intercept_).vector())


def generalised(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """sklearn.linear_model._glm.glm._GeneralizedLinearRegressor.predict: the inverse link of the weighted sum."""
    raw = linear(scope, frame, estimator.coef_, estimator.intercept_)
    link = type(estimator._base_loss.link).__name__
    if link == "IdentityLink":
        return regression(raw)
    if link == "LogLink":
        return regression(raw.exp())
    raise scope.refuse(estimator, f"the link function {link} has no converter")


def scores_of(scope: Scope, estimator: Estimator, frame: Frame) -> Tensor:
    """LinearClassifierMixin.decision_function: `[batch]` for two classes, else `[batch, classes]`."""
    scores = linear(scope, frame, estimator.coef_, estimator.intercept_)
    return scores.vector() if estimator.coef_.ndim == 2 and estimator.coef_.shape[0] == 1 else scores


def _labelled(scope: Scope, estimator: Estimator, scores: Tensor, probabilities: Tensor | None) -> Prediction:
    """The class by scores, as LinearClassifierMixin.predict does even where there are probabilities."""
    classes = estimator.classes_
    label = label_above(scope, scores, classes) if scores.rank == 1 else label_highest(scope, scores, classes)
    return Prediction(
        label=label,
        probabilities=probabilities.value(len(classes)) if probabilities is not None else None,
        scores=scores.value(len(classes)),
    )


def one_against_rest(scores: Tensor, count: int) -> Tensor:
    """LinearClassifierMixin._predict_proba_lr: the sigmoid of each score, normalised over the classes."""
    probability = scores.sigmoid()
    return both_sides(probability) if scores.rank == 1 else normalised(probability, count)


def logistic(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """LogisticRegression and LogisticRegressionCV, with the `multi_class` of scikit-learn before 1.8 too."""
    scores = scores_of(scope, estimator, frame)
    count = len(estimator.classes_)
    chosen = getattr(estimator, "multi_class", "deprecated")
    rest = chosen == "ovr" or (
        chosen in ("auto", "deprecated") and (count <= 2 or getattr(estimator, "solver", "") == "liblinear")
    )
    if rest:
        probabilities = one_against_rest(scores, count)
    elif scores.rank == 1:
        probabilities = both_sides((scores + scores).sigmoid())  # softmax over -d and d
    else:
        probabilities = scores.softmax()
    dtype = answered_dtype(estimator, frame)
    return _labelled(scope, estimator, scores, probabilities.rounded(dtype))


def stochastic(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """SGDClassifier: probabilities for the log loss and the modified Huber loss, scores for the others."""
    scores = scores_of(scope, estimator, frame)
    count = len(estimator.classes_)
    if estimator.loss == "log_loss":
        return _labelled(scope, estimator, scores, one_against_rest(scores, count))
    if estimator.loss == "modified_huber":
        share = (scores.clip(-1.0, 1.0) + 1.0) / 2.0
        probabilities = both_sides(share) if scores.rank == 1 else normalised(share, count)
        return _labelled(scope, estimator, scores, probabilities)
    return _labelled(scope, estimator, scores, None)


def margin(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """Linear classifiers without probabilities."""
    return classification(scope, estimator, None, scores_of(scope, estimator, frame))


def ridge_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """RidgeClassifier: with several labels a row, 0 or 1 in each column."""
    if estimator._label_binarizer.y_type_.startswith("multilabel"):
        scores = linear(scope, frame, estimator.coef_, estimator.intercept_)
        count = estimator.coef_.shape[0]
        return Prediction(label=(scores > 0.0).cast("int64").value(count), scores=scores.value(count))
    return margin(scope, estimator, frame)


def one_class(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """SGDOneClassSVM: an inlier where the score is not negative."""
    scores = linear(scope, frame, estimator.coef_, -estimator.offset_).vector()
    return Prediction(label=inlier(scope, scores >= 0.0), scores=scores.value())


_REGRESSORS = (
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "LarsCV", "Lasso",
    "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression", "MultiTaskElasticNet",
    "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV", "OrthogonalMatchingPursuit",
    "OrthogonalMatchingPursuitCV", "QuantileRegressor", "Ridge", "RidgeCV", "TheilSenRegressor",
)  # fmt: skip

CONVERTERS: dict[str, Converter] = {
    **{f"sklearn.linear_model.{name}": regressor for name in _REGRESSORS},
    "sklearn.linear_model.SGDRegressor": flat_regressor,
    "sklearn.linear_model.PassiveAggressiveRegressor": flat_regressor,
    "sklearn.svm.LinearSVR": flat_regressor,
    "sklearn.linear_model.PoissonRegressor": generalised,
    "sklearn.linear_model.GammaRegressor": generalised,
    "sklearn.linear_model.TweedieRegressor": generalised,
    "sklearn.linear_model.LogisticRegression": logistic,
    "sklearn.linear_model.LogisticRegressionCV": logistic,
    "sklearn.linear_model.SGDClassifier": stochastic,
    "sklearn.linear_model.Perceptron": margin,
    "sklearn.linear_model.PassiveAggressiveClassifier": margin,
    "sklearn.svm.LinearSVC": margin,
    "sklearn.linear_model.RidgeClassifier": ridge_classifier,
    "sklearn.linear_model.RidgeClassifierCV": ridge_classifier,
    "sklearn.linear_model.SGDOneClassSVM": one_class,
}
