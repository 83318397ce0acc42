"""Bagging and AdaBoost over any estimator; over trees they become one ensemble.

Sums are taken in the order of the estimators, as scikit-learn takes them at one job; with `n_jobs` it adds in groups
that depend on the machine, and the last bit of its sums with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.predictions import (
    classification,
    label_above,
    label_highest,
    regression,
)
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_from_sklearn.trees import class_values, rows_for_trees, summed
from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.tensor import Tensor, beside, const, taken, tensor
from mlpack_edge.converters.trees.emit_onnx import leaves_of_trees
from mlpack_edge.converters.trees.from_sklearn import ensemble_from_trees

_TREE_CLASSIFIERS = {"DecisionTreeClassifier", "ExtraTreeClassifier"}
_TREE_REGRESSORS = {"DecisionTreeRegressor", "ExtraTreeRegressor"}


def _all_trees(parts: Any, kinds: set[str]) -> bool:
    """Whether every part is a tree of scikit-learn with one output."""
    return all(
        type(part).__name__ in kinds and type(part).__module__ == "sklearn.tree._classes" and part.n_outputs_ == 1
        for part in parts
    )


def bagging_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The mean of the parts' probabilities, or votes where they have none (BaggingClassifier.predict_proba)."""
    classes = len(estimator.classes_)
    if _all_trees(estimator.estimators_, _TREE_CLASSIFIERS):
        trees = [part.tree_ for part in estimator.estimators_]
        values = [_among(class_values(part.tree_), part.classes_, classes) for part in estimator.estimators_]
        total = summed(
            scope, frame, ensemble_from_trees(trees, values, classes, columns=estimator.estimators_features_)
        )
        return classification(scope, estimator, total / float(len(trees)))
    answers = _parts(scope, estimator, frame)
    parts = [_shares(scope, part, made, classes) for part, made in answers]
    scores = None
    margins = [made.scores for _, made in answers if made.scores is not None]
    if len(margins) == len(answers) and hasattr(estimator, "decision_function"):
        scores = _added([tensor(scope.graph, margin, "float64") for margin in margins]) / float(len(margins))
    return classification(scope, estimator, _added(parts) / float(len(parts)), scores)


def bagging_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The mean of the parts' values (BaggingRegressor.predict)."""
    if _all_trees(estimator.estimators_, _TREE_REGRESSORS):
        trees = [part.tree_ for part in estimator.estimators_]
        values = [tree.value[:, :, 0] for tree in trees]
        total = summed(scope, frame, ensemble_from_trees(trees, values, 1, columns=estimator.estimators_features_))
        return regression((total / float(len(trees))).vector())
    parts = [_number(scope, part, made) for part, made in _parts(scope, estimator, frame)]
    return _values(_added([value for value, _ in parts]) / float(len(parts)), parts[0][1])


def _parts(scope: Scope, estimator: Estimator, frame: Frame) -> list[tuple[Estimator, Prediction]]:
    made = []
    for index, (part, columns) in enumerate(zip(estimator.estimators_, estimator.estimators_features_, strict=True)):
        picked = frame.select(scope.graph, np.asarray(columns).tolist())
        made.append((part, scope.predict(part, picked, f".estimators_[{index}]")))
    return made


def _among(values: Array, own: Array, classes: int) -> Array:
    """[nodes, own classes] as [nodes, classes]; a bagged classifier's classes are the places among all of them."""
    spread = np.zeros((len(values), classes))
    spread[:, np.asarray(own, np.int64)] = values
    return spread


def _shares(scope: Scope, part: Estimator, made: Prediction, classes: int) -> Tensor:
    """What one part adds to each class: its probabilities, or 1 for the class it names."""
    graph = scope.graph
    if hasattr(part, "predict_proba"):
        if made.probabilities is None:
            raise scope.refuse(part, "its probabilities are not converted")
        own = np.asarray(part.classes_, np.int64)
        chances = tensor(graph, made.probabilities, "float64")
        return chances if len(own) == classes else chances @ np.eye(classes)[own]
    if made.label is None:
        raise scope.refuse(part, "it gives no class")
    return taken(graph, np.eye(classes), tensor(graph, made.label, "int64"))


def _number(scope: Scope, part: Estimator, made: Prediction) -> tuple[Tensor, int | None]:
    """What a part predicts in float64, and how many columns it has (None: a vector)."""
    if made.value is None:
        raise scope.refuse(part, "it gives no value")
    return tensor(scope.graph, made.value, "float64"), made.value.width


def _values(made: Tensor, width: int | None) -> Prediction:
    return Prediction(value=made.value(width))


def _added(parts: list[Tensor]) -> Tensor:
    """The sum, one part after the other."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def ada_boost_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """SAMME: each part gives its weight to the class it names, -weight / (classes - 1) to the others.

    Mirrors AdaBoostClassifier.decision_function and `_compute_proba_from_decision`.
    """
    classes = len(estimator.classes_)
    if classes == 1:
        raise scope.refuse(estimator, "it knows one class only")
    weights = np.asarray(estimator.estimator_weights_, np.float64)[: len(estimator.estimators_)]
    if _all_trees(estimator.estimators_, _TREE_CLASSIFIERS):
        trees = [part.tree_ for part in estimator.estimators_]
        values = [
            _samme(
                np.searchsorted(estimator.classes_, part.classes_)[class_values(part.tree_).argmax(axis=1)], w, classes
            )
            for part, w in zip(estimator.estimators_, weights, strict=True)
        ]
        total = summed(scope, frame, ensemble_from_trees(trees, values, classes))
    else:
        known = const(scope.graph, _as_row(estimator.classes_))
        votes = []
        for index, (part, weight) in enumerate(zip(estimator.estimators_, weights, strict=True)):
            made = scope.predict(part, frame, f".estimators_[{index}]")
            if made.label is None:
                raise scope.refuse(part, "it gives no class")
            named = tensor(scope.graph, scope.graph.column(made.label)).equals(known)
            votes.append(named.where(float(weight), float(-1 / (classes - 1) * weight)))
        total = _added(votes)
    decision = total / float(np.asarray(estimator.estimator_weights_).sum())
    if classes == 2:
        score = (decision * np.array([[-1.0, 1.0]])).sum(keep=False)
        half = score.column()
        chances = (beside([-half, half]) / 2.0).softmax()
        return Prediction(label_above(scope, score, estimator.classes_), chances.value(2), score.value())
    chances = (decision / float(classes - 1)).softmax()
    return Prediction(
        label_highest(scope, decision, estimator.classes_), chances.value(classes), decision.value(classes)
    )


def _samme(named: Array, weight: float, classes: int) -> Array:
    """[nodes, classes]: the weight for the class a node names, -weight / (classes - 1) for the others."""
    return np.where(named[:, None] == np.arange(classes)[None, :], weight, -1 / (classes - 1) * weight)


def _as_row(classes: Any) -> Array:
    """Class labels [1, classes] in the dtype in which a converted classifier gives them."""
    array = np.asarray(classes)
    if array.dtype.kind in "iu":
        array = array.astype(np.int64)
    elif array.dtype.kind == "f":
        array = array.astype(np.float64)
    return array[None, :]


def ada_boost_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The weighted median of what the parts predict (AdaBoostRegressor._get_median_predict)."""
    graph = scope.graph
    parts = estimator.estimators_
    weights = np.asarray(estimator.estimator_weights_, np.float64)
    if _all_trees(parts, _TREE_REGRESSORS):
        trees = [part.tree_ for part in parts]
        ensemble = ensemble_from_trees(trees, [tree.value[:, :, 0] for tree in trees], 1)
        values = tensor(graph, leaves_of_trees(graph, ensemble, rows_for_trees(frame, scope)))
    else:
        made = [scope.predict(part, frame, f".estimators_[{index}]") for index, part in enumerate(parts)]
        values = beside([_number(scope, part, one)[0].vector() for part, one in zip(parts, made, strict=True)])
    count = graph.const(np.array([len(parts)], np.int64))
    ordered, places = graph.ops("TopK", 2, values.name, count, axis=1, largest=0, sorted=1)
    weight = taken(graph, weights, Tensor(graph, places, "int64", 2))
    reached = Tensor(graph, graph.op("CumSum", weight.name, graph.const(np.array([1], np.int64))), "float64", 2)
    above = reached >= reached.columns(len(parts) - 1, len(parts)) * 0.5
    median = above.cast("int64").argmax().column()
    return regression(Tensor(graph, graph.op("GatherElements", ordered, median.name, axis=1), "float64").vector())


CONVERTERS: dict[str, Converter] = {
    "sklearn.ensemble.BaggingClassifier": bagging_classifier,
    "sklearn.ensemble.BaggingRegressor": bagging_regressor,
    "sklearn.ensemble.AdaBoostClassifier": ada_boost_classifier,
    "sklearn.ensemble.AdaBoostRegressor": ada_boost_regressor,
}
