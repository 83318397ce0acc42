"""Clusterers that assign a new row to the nearest of fitted centers. They predict at the end of a model, and give the
distances to the centers before another step.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.distances import distances
from mlpack_edge.converters.onnx_from_sklearn.dummy import repeated
from mlpack_edge.converters.onnx_from_sklearn.kernels import squared_euclidean
from mlpack_edge.converters.onnx_from_sklearn.predictions import features, result_dtype
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope, pick_label
from mlpack_edge.converters.onnx_graph import Array, Value
from mlpack_edge.converters.tensor import Tensor, tensor


def _nearest(scope: Scope, x: Tensor, centers: Array) -> Tensor:
    """The first of the nearest centers, int64 `[batch]`."""
    return distances(scope, x, centers, "euclidean", ranked=True).argmin()


def nearest_center(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """KMeans, MiniBatchKMeans and MeanShift."""
    return Prediction(label=_nearest(scope, features(scope, frame), estimator.cluster_centers_).value())


def affinity(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """AffinityPropagation; without centers every row is -1."""
    centers = getattr(estimator, "cluster_centers_", None)
    if centers is None:
        raise scope.refuse(estimator, "with affinity='precomputed' it does not predict")
    if len(centers) == 0:
        return Prediction(label=scope.graph.vector(repeated(scope, frame, np.array([-1], np.int64))))
    return nearest_center(scope, estimator, frame)


def birch(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """Birch: the cluster of the nearest subcluster."""
    place = _nearest(scope, features(scope, frame), estimator.subcluster_centers_)
    return Prediction(label=pick_label(scope.graph, place.name, estimator.subcluster_labels_))


def bisecting(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """BisectingKMeans: down the tree, at each node to the nearer of two centers, left on a tie."""
    x = features(scope, frame)
    shift = getattr(estimator, "_X_mean", 0.0)

    def label_under(node: Any) -> Tensor | int:
        if node.left is None:
            return int(node.label)
        centers = np.vstack((node.left.center, node.right.center)) + shift
        left, right = label_under(node.left), label_under(node.right)
        goes = _nearest(scope, x, centers).equals(0)
        if isinstance(left, int) and isinstance(right, int):
            table = np.array([right, left], np.int64)
            return Tensor(scope.graph, pick_label(scope.graph, goes.cast("int64").name, table).name, "int64", 1)
        return goes.where(left, right, "int64")

    label = label_under(estimator._bisecting_tree)
    if isinstance(label, int):
        return Prediction(label=scope.graph.vector(repeated(scope, frame, np.array([label], np.int64))))
    return Prediction(label=label.value())


def distances_to(attribute: str, scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """`transform`: sklearn.metrics.pairwise.euclidean_distances to the centers, in float32 where both sides are."""
    centers = np.asarray(getattr(estimator, attribute))
    x = frame.dense(scope.graph)
    if x.dtype not in ("float32", "float64"):
        x = scope.graph.cast(x, "float64")
    squared: Value = squared_euclidean(scope.graph, x, centers)
    rooted = tensor(scope.graph, squared, "float64").sqrt().rounded(result_dtype(frame, centers))
    return frame_of(rooted.value(len(centers)))


_to_centers = partial(distances_to, "cluster_centers_")

CONVERTERS: dict[str, Converter] = {
    "sklearn.cluster.KMeans": nearest_center,
    "sklearn.cluster.MiniBatchKMeans": nearest_center,
    "sklearn.cluster.MeanShift": nearest_center,
    "sklearn.cluster.AffinityPropagation": affinity,
    "sklearn.cluster.Birch": birch,
    "sklearn.cluster.BisectingKMeans": bisecting,
}
TRANSFORMS: dict[str, Converter] = {
    "sklearn.cluster.KMeans": _to_centers,
    "sklearn.cluster.MiniBatchKMeans": _to_centers,
    "sklearn.cluster.BisectingKMeans": _to_centers,
    "sklearn.cluster.Birch": partial(distances_to, "subcluster_centers_"),
}
