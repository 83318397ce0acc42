"""Nearest neighbours, by number and by radius.

Neighbours at equal distance are taken in the order of the fitted rows. scikit-learn's own choice among them comes out
of a heap or a tree and is not defined; where it matters for a label, the two may differ: between fitted duplicates, at
a row of zeros under the cosine distance, and at a row so far out that the distances to several fitted rows round to
the same number.
Every fitted row is compared with every row of the batch: `[batch, fitted rows]` numbers are held at a time.
"""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.frame import Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.distances import distances
from mlpack_edge.converters.onnx_from_sklearn.predictions import features, label_highest
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope, pick_label
from mlpack_edge.converters.onnx_graph import Array, Value
from mlpack_edge.converters.tensor import Tensor, const, taken


def measured(
    scope: Scope,
    estimator: Estimator,
    x: Tensor,
    metric: str = "",
    direct: bool | None = None,
    ranked: bool = False,
) -> Tensor:
    """Distances to every fitted row in the effective metric, or in `metric`; unless `direct` says how, through the
    matrix product where scikit-learn goes through it. ranked: only their order counts.
    """
    parameters = dict(estimator.effective_metric_params_ or {})
    if not isinstance(estimator.effective_metric_, str):
        raise scope.refuse(estimator, "its metric is a function")
    power = float(parameters.pop("p", 2.0))
    if parameters.get("w") is not None:
        raise scope.refuse(estimator, f"weights of features in metric={estimator.effective_metric_!r}")
    fitted = estimator._fit_X
    if hasattr(fitted, "toarray"):
        raise scope.refuse(estimator, "it was fitted on sparse rows")
    named = metric or estimator.effective_metric_
    direct = estimator._fit_method != "brute" if direct is None else direct
    return distances(scope, x, np.asarray(fitted, np.float64), named, power, direct=direct, ranked=ranked)


def _weights(scope: Scope, estimator: Estimator) -> str:
    weights = estimator.weights or "uniform"
    if weights not in ("uniform", "distance"):
        raise scope.refuse(estimator, "its weights are a function")
    return str(weights)


def closest(scope: Scope, estimator: Estimator, frame: Frame) -> tuple[Tensor, Tensor | None]:
    """(places of the n nearest fitted rows, int64 `[batch, n]`, and their weights `[batch, n]` where not uniform)."""
    weighted = _weights(scope, estimator) == "distance"
    x = features(scope, frame)
    product = estimator._fit_method == "brute" and estimator.effective_metric_ in ("euclidean", "l2")
    reach = measured(scope, estimator, x, ranked=product or not weighted)
    count = const(scope.graph, np.array([estimator.n_neighbors], np.int64))
    near, places = scope.graph.ops("TopK", 2, reach.name, count.name, axis=1, largest=0, sorted=1)
    found = Tensor(scope.graph, places, "int64")
    if not weighted:
        return found, None
    apart = _between(scope, estimator, x, found) if product else Tensor(scope.graph, near, "float64")
    inverse = 1.0 / apart
    exact = inverse._made("IsInf", inverse.name, dtype="bool").cast("float64")
    any_exact = exact.max() > 0.0
    return found, any_exact.where(exact, inverse)


def _between(scope: Scope, estimator: Estimator, x: Tensor, places: Tensor) -> Tensor:
    """Distances `[batch, n]` to the fitted rows at `places`, by differences.

    An exact match must be exactly 0: out of scikit-learn's matrix product it is in practice, out of another it is not.
    """
    fitted = np.asarray(estimator._fit_X, np.float64)
    apart = taken(scope.graph, fitted, places) - x.reshape(-1, 1, fitted.shape[1])
    return (apart * apart).sum(axis=2, keep=False).sqrt()


def neighbours_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """KNeighborsClassifier. With several outputs only the labels `[batch, outputs]`."""
    places, weights = closest(scope, estimator, frame)
    encoded = estimator._y if estimator.outputs_2d_ else estimator._y.reshape(-1, 1)
    classes = estimator.classes_ if estimator.outputs_2d_ else [estimator.classes_]
    votes = []
    for output, known in enumerate(classes):
        table = np.eye(len(known))[encoded[:, output]]
        chosen = taken(scope.graph, table, places)
        if weights is not None:
            chosen = chosen * weights.reshape(-1, estimator.n_neighbors, 1)
        votes.append(chosen.sum(axis=1, keep=False))
    return _voted(scope, estimator, votes, list(classes))


def _voted(scope: Scope, estimator: Estimator, votes: list[Tensor], classes: list[Array]) -> Prediction:
    labels = [label_highest(scope, vote, known) for vote, known in zip(votes, classes, strict=True)]
    if estimator.outputs_2d_:
        return Prediction(label=side_by_side(scope, labels))
    return Prediction(label=labels[0], probabilities=(votes[0] / votes[0].sum()).value(len(classes[0])))


def side_by_side(scope: Scope, labels: list[Value]) -> Value:
    """Labels `[batch]` of several outputs as `[batch, outputs]`."""
    columns = [scope.graph.column(label) for label in labels]
    return scope.graph.concat(columns)


def neighbours_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """KNeighborsRegressor."""
    places, weights = closest(scope, estimator, frame)
    table = np.asarray(estimator._y, np.float64).reshape(len(estimator._y), -1)
    values = taken(scope.graph, table, places)
    if weights is None:
        value = values.sum(axis=1, keep=False) / float(estimator.n_neighbors)
    else:
        weighted = (values * weights.reshape(-1, estimator.n_neighbors, 1)).sum(axis=1, keep=False)
        value = weighted / weights.sum()
    return _value(estimator, value, table.shape[1])


def _value(estimator: Estimator, value: Tensor, width: int) -> Prediction:
    return Prediction(value=value.vector().value() if estimator._y.ndim == 1 else value.value(width))


def _within(scope: Scope, estimator: Estimator, frame: Frame) -> tuple[Tensor, Tensor]:
    """(float64 `[batch, fitted rows]`: the weight of each fitted row, 0 beyond the radius; bool `[batch, 1]`: any)."""
    weighted, x = _weights(scope, estimator) == "distance", features(scope, frame)
    limit = float(estimator.radius)
    if estimator.effective_metric_ in ("euclidean", "l2"):  # scikit-learn compares the squares
        direct = weighted or estimator._fit_method != "brute"  # an exact match must be exactly 0
        squares = measured(scope, estimator, x, "sqeuclidean", direct)
        inside, reach = squares <= limit * limit, squares.sqrt()
    else:
        reach = measured(scope, estimator, x)
        inside = reach <= limit
    found = inside.cast("float64").max() > 0.0
    if not weighted:
        return inside.cast("float64"), found
    same = inside & reach.equals(0.0)
    weights = (same.cast("float64").max() > 0.0).where(same.cast("float64"), inside.where(1.0 / reach, 0.0))
    return weights, found


def radius_classifier(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """RadiusNeighborsClassifier. Where scikit-learn raises, on a row without neighbours and without `outlier_label`,
    the probabilities are NaN.
    """
    if estimator.outputs_2d_:
        raise scope.refuse(estimator, "several outputs")
    outlier = estimator.outlier_label_
    if outlier is not None and estimator._fit_method == "brute" and estimator.weights == "uniform":
        raise scope.refuse(estimator, "outlier_label with brute force: scikit-learn reads it as the number of a class")
    mask, found = _within(scope, estimator, frame)
    classes = estimator.classes_
    votes = mask @ np.eye(len(classes))[np.asarray(estimator._y).ravel()]
    if outlier is None:
        share = votes / votes.sum()
        return Prediction(label_highest(scope, votes, classes), share.value(len(classes)))
    place = np.flatnonzero(classes == outlier[0])
    if place.size != 1:
        raise scope.refuse(estimator, f"outlier_label={outlier[0]!r} is none of its classes")
    votes = found.where(votes, np.eye(len(classes))[place])
    share = votes / votes.sum()
    return Prediction(label_highest(scope, share, classes), share.value(len(classes)))


def radius_regressor(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """RadiusNeighborsRegressor; NaN for a row without neighbours."""
    if np.asarray(estimator._y).dtype.kind != "f":
        raise scope.refuse(estimator, "an integer target, which has no NaN for rows without neighbours")
    table = np.asarray(estimator._y, np.float64).reshape(len(estimator._y), -1)
    mask, _ = _within(scope, estimator, frame)
    return _value(estimator, (mask @ table) / mask.sum(), table.shape[1])


def local_outliers(scope: Scope, estimator: Estimator, frame: Frame) -> Prediction:
    """LocalOutlierFactor with novelty=True: the local density against that of the neighbours."""
    if not estimator.novelty:
        raise scope.refuse(estimator, "without novelty=True it does not predict for new rows")
    reach = measured(scope, estimator, features(scope, frame))
    count = const(scope.graph, np.array([estimator.n_neighbors_], np.int64))
    near, found = scope.graph.ops("TopK", 2, reach.name, count.name, axis=1, largest=0, sorted=1)
    places = Tensor(scope.graph, found, "int64")
    core = np.asarray(estimator._distances_fit_X_[:, estimator.n_neighbors_ - 1], np.float64)
    reachable = Tensor(scope.graph, near, "float64").most(taken(scope.graph, core, places))
    density = 1.0 / (reachable.sum() / float(estimator.n_neighbors_) + 1e-10)
    ratios = taken(scope.graph, np.asarray(estimator._lrd, np.float64), places) / density
    scores = -(ratios.sum() / float(estimator.n_neighbors_)) - float(estimator.offset_)
    below = (scores.vector() < 0.0).cast("int64")
    return Prediction(pick_label(scope.graph, below.name, np.array([1, -1], np.int64)), scores=scores.vector().value())


CONVERTERS: dict[str, Converter] = {
    "sklearn.neighbors.KNeighborsClassifier": neighbours_classifier,
    "sklearn.neighbors.KNeighborsRegressor": neighbours_regressor,
    "sklearn.neighbors.RadiusNeighborsClassifier": radius_classifier,
    "sklearn.neighbors.RadiusNeighborsRegressor": radius_regressor,
    "sklearn.neighbors.LocalOutlierFactor": local_outliers,
}
