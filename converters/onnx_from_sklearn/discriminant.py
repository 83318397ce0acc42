"""Linear and quadratic discriminant analysis, and the nearest centroid."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.distances import distances
from mlpack_edge.converters.onnx_from_sklearn.linear import scores_of
from mlpack_edge.converters.onnx_from_sklearn.predictions import (
    both_sides,
    classification,
    features,
    label_highest,
)
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, beside


def linear_discriminant(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """LinearDiscriminantAnalysis as a classifier."""
    scores = scores_of(scope, estimator, frame)
    probabilities = both_sides(scores.sigmoid()) if scores.rank == 1 else scores.softmax()
    labelled = classification(scope, estimator, None, scores)
    return Prediction(labelled.label, probabilities.value(len(estimator.classes_)), labelled.scores)


def _scored(scope: Scope, estimator: Estimator, scores: Tensor) -> Prediction:
    """DiscriminantAnalysisPredictionMixin: the label by the log posteriors `[batch, classes]`."""
    count = len(estimator.classes_)
    label = label_highest(scope, scores, estimator.classes_)
    decision = (scores.take([1]) - scores.take([0])).vector() if count == 2 else scores
    return Prediction(label, scores.softmax().value(count), decision.value(count))


def quadratic_discriminant(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """QuadraticDiscriminantAnalysis._decision_function, eq. (4.12) of Hastie et al."""
    x = features(scope, frame)
    columns = []
    parts = zip(estimator.rotations_, estimator.scalings_, estimator.means_, estimator.priors_, strict=True)
    for rotation, scaling, mean, prior in parts:
        turned = (x - np.asarray(mean)[None, :]) @ np.ascontiguousarray(rotation * scaling ** (-0.5))
        norm = (turned**2).sum()
        columns.append((norm + float(np.sum(np.log(scaling)))) * -0.5 + float(np.log(prior)))
    return _scored(scope, estimator, beside(columns))


def nearest_centroid(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """NearestCentroid: by distance where the classes weigh the same, else by eq. (18.2) of Hastie et al.

    Only with the Euclidean metric are there scores and probabilities.
    """
    x = features(scope, frame)
    classes, prior = estimator.classes_, getattr(estimator, "class_prior_", None)
    equal = prior is None or bool(np.isclose(prior, 1 / len(classes)).all())
    label = None
    if equal:
        reach = distances(scope, x, np.asarray(estimator.centroids_, np.float64), estimator.metric, ranked=True)
        label = label_highest(scope, -reach, classes)
    if prior is None or estimator.metric != "euclidean":
        if label is None:
            raise scope.refuse(estimator, f"priors that differ, with metric={estimator.metric!r}")
        return Prediction(label=label)
    deviation = np.asarray(estimator.within_class_std_dev_, np.float64)
    scale = np.where(deviation != 0, deviation, 1.0)[None, :]
    squared = distances(scope, x / scale, np.asarray(estimator.centroids_, np.float64) / scale, "sqeuclidean")
    scored = _scored(scope, estimator, 2.0 * np.log(prior)[None, :] - squared)
    return scored if label is None else Prediction(label, scored.probabilities, scored.scores)


CONVERTERS: dict[str, Converter] = {
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": linear_discriminant,
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis": quadratic_discriminant,
    "sklearn.neighbors.NearestCentroid": nearest_centroid,
}
