"""Single trees, forests of them, isolation forests and tree embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.predictions import classification, inlier, regression
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Array
from mlpack_edge.converters.tensor import Tensor, beside, tensor
from mlpack_edge.converters.trees.emit_onnx import leaves_of_trees, sum_of_trees
from mlpack_edge.converters.trees.ensemble import Ensemble
from mlpack_edge.converters.trees.from_sklearn import ensemble_from_trees


def rows_for_trees(frame: Frame, scope: Scope) -> Any:
    """The input as one tensor of a float dtype; the trees cast it to float32 as scikit-learn does."""
    return frame.dense(scope.graph, frame.dtype if frame.dtype in ("float32", "float64") else "float64")


def class_values(tree: Any) -> Array:
    """[nodes, classes], the fraction of each class; scikit-learn 1.3 and newer keeps it normalised."""
    values: Array = tree.value[:, 0, :]
    return values


def summed(scope: Scope, frame: Frame, ensemble: Ensemble) -> Tensor:
    """What the ensemble sums up to for the frame, `[batch, n_targets]` float64."""
    return tensor(scope.graph, sum_of_trees(scope.graph, ensemble, rows_for_trees(frame, scope)))


def one_output(scope: Scope, estimator: Estimator) -> None:
    """Refuse classifiers of several outputs, whose probabilities are several arrays."""
    if estimator.n_outputs_ != 1:
        raise scope.refuse(estimator, f"it classifies {estimator.n_outputs_} outputs at once, one is supported")


def tree_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The class fractions of the leaf (sklearn.tree.DecisionTreeClassifier.predict_proba)."""
    one_output(scope, estimator)
    values = class_values(estimator.tree_)
    ensemble = ensemble_from_trees([estimator.tree_], [values], values.shape[1])
    return classification(scope, estimator, summed(scope, frame, ensemble))


def tree_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The value of the leaf, or a value an output."""
    values = estimator.tree_.value[:, :, 0]
    ensemble = ensemble_from_trees([estimator.tree_], [values], values.shape[1])
    return _values(scope, estimator, summed(scope, frame, ensemble))


def forest_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The mean of the trees' class fractions, added in the order of the trees (ForestClassifier.predict_proba)."""
    one_output(scope, estimator)
    trees = [part.tree_ for part in estimator.estimators_]
    ensemble = ensemble_from_trees(trees, [class_values(tree) for tree in trees], int(estimator.n_classes_))
    return classification(scope, estimator, summed(scope, frame, ensemble) / float(len(trees)))


def forest_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """The mean of the trees' values (ForestRegressor.predict)."""
    trees = [part.tree_ for part in estimator.estimators_]
    ensemble = ensemble_from_trees(trees, [tree.value[:, :, 0] for tree in trees], int(estimator.n_outputs_))
    return _values(scope, estimator, summed(scope, frame, ensemble) / float(len(trees)))


def _values(scope: Scope, estimator: Estimator, made: Tensor) -> Prediction:
    outputs = int(estimator.n_outputs_)
    return regression(made.vector() if outputs == 1 else made, outputs)


def isolation_forest(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """-(2 ** (-depth / expected depth)) - offset, and +1 where that is not negative (IsolationForest.decision_function).

    The label is decided on the sum of depths, at the smallest sum for which scikit-learn itself says +1: the offset is
    often the score of a training row, and a power that differs in its last bit would move that row.
    """
    trees = [part.tree_ for part in estimator.estimators_]
    depths = [
        (path + average - 1.0)[:, None]
        for path, average in zip(estimator._decision_path_lengths, estimator._average_path_length_per_tree, strict=True)
    ]
    picked = None if estimator._max_features == frame.width else estimator.estimators_features_
    total = summed(scope, frame, ensemble_from_trees(trees, depths, 1, columns=picked))
    expected = len(trees) * _average_path_length(float(estimator._max_samples))

    def decision(depth: Array) -> Array:
        share = depth / expected if expected else np.ones_like(depth)
        scores: Array = -(2.0**-share) - estimator.offset_
        return scores

    share = total / expected if expected else total * 0.0 + 1.0
    graph = scope.graph
    power = Tensor(graph, graph.op("Pow", graph.const(np.array([[2.0]])), (-share).name), "float64", 2)
    scores = -power - float(estimator.offset_)
    return Prediction(label=inlier(scope, total >= _first_inlier(decision)), scores=scores.vector().value())


def _average_path_length(samples: float) -> float:
    """The average path length of an unsuccessful search in a binary tree of that many samples."""
    if samples <= 1:
        return 0.0
    if samples == 2:
        return 1.0
    return float(2.0 * (np.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples)


def _first_inlier(decision: Any) -> float:
    """The smallest sum of depths whose decision is not negative, by bisection down to neighbouring numbers."""
    low, high = 0.0, 1.0
    if decision(np.array([low]))[0] >= 0:
        return low
    while decision(np.array([high]))[0] < 0:
        high *= 2
        if not np.isfinite(high):
            return float("inf")
    while np.nextafter(low, high) < high:
        middle = low + (high - low) / 2
        if decision(np.array([middle]))[0] < 0:
            low = middle
        else:
            high = middle
    return high


def tree_embedding(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """A column for each leaf the training rows reached, 1 where the row is in it (RandomTreesEmbedding.transform)."""
    trees = [part.tree_ for part in estimator.estimators_]
    own = [np.arange(tree.node_count, dtype=np.float64)[:, None] for tree in trees]
    ensemble = ensemble_from_trees(trees, own, 1)
    reached = tensor(scope.graph, leaves_of_trees(scope.graph, ensemble, rows_for_trees(frame, scope)))
    hot = [
        reached.columns(index, index + 1).equals(np.asarray(leaves, np.float64)[None, :])
        for index, leaves in enumerate(estimator.one_hot_encoder_.categories_)
    ]
    width = sum(len(leaves) for leaves in estimator.one_hot_encoder_.categories_)
    return frame_of(beside(hot).cast("float64").value(width))


CONVERTERS: dict[str, Converter] = {
    "sklearn.tree.DecisionTreeClassifier": tree_classifier,
    "sklearn.tree.DecisionTreeRegressor": tree_regressor,
    "sklearn.tree.ExtraTreeClassifier": tree_classifier,
    "sklearn.tree.ExtraTreeRegressor": tree_regressor,
    "sklearn.ensemble.RandomForestClassifier": forest_classifier,
    "sklearn.ensemble.RandomForestRegressor": forest_regressor,
    "sklearn.ensemble.ExtraTreesClassifier": forest_classifier,
    "sklearn.ensemble.ExtraTreesRegressor": forest_regressor,
    "sklearn.ensemble.IsolationForest": isolation_forest,
    "sklearn.ensemble.RandomTreesEmbedding": tree_embedding,
}
