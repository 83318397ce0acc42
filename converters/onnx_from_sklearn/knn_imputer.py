"""KNNImputer: the mean of the nearest fitted rows that have the value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import nan_euclidean_distances

from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.decomposition import floats
from mlpack_edge.converters.onnx_from_sklearn.imputers import missing_mask
from mlpack_edge.converters.onnx_from_sklearn.kernels import squared_euclidean
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Value
from mlpack_edge.converters.tensor import Tensor, beside, const

Array = NDArray[Any]

#: How many of the fitted rows are looked at for donors at the same distance.
_PROBES = 500


def knn_imputer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """KNNImputer.transform with nan_euclidean distances and uniform weights.

    Refuses an imputer whose own fitted rows show donors at exactly the same distance (columns of whole numbers do):
    scikit-learn takes those that numpy's argpartition leaves in front, which differ between processors.
    """
    if estimator.metric != "nan_euclidean":
        raise scope.refuse(estimator, f"metric={estimator.metric!r}")
    if estimator.weights != "uniform":
        # the distance of two rows that agree is what is left of |x|^2 - 2xy + |y|^2, and 1 / d magnifies that noise
        raise scope.refuse(estimator, f"weights={estimator.weights!r}; only weights='uniform' is reproduced")
    _refuse_ties(scope, estimator)
    x = floats(scope, frame)
    width = frame.width
    missing = missing_mask(scope, estimator, x.value(width))
    fitted, holes = np.asarray(estimator._fit_X), np.asarray(estimator._mask_fit_X)
    distances = _distances(x, missing, fitted, holes)
    filled = []
    for column in range(width):
        if estimator._valid_mask[column]:
            donors = np.flatnonzero(~holes[:, column])
            mean = float(np.ma.array(fitted[:, column], mask=holes[:, column]).mean())
            value = _imputed(estimator, distances.take(donors), fitted[donors, column], mean)
            filled.append(missing.take([column]).where(value.cast(x.dtype), x.take([column])))
        elif estimator.keep_empty_features:
            filled.append(x.take([column]).is_nan().where(0.0, x.take([column]) * 0.0))
    if estimator.add_indicator and len(estimator.indicator_.features_):
        filled.append(missing.take(estimator.indicator_.features_).cast(x.dtype))
    if not filled:
        raise scope.refuse(estimator, "it gives no column; no feature had a value when it was fitted")
    total = sum(1 for column in range(width) if estimator._valid_mask[column] or estimator.keep_empty_features)
    if estimator.add_indicator:
        total += len(estimator.indicator_.features_)
    return frame_of(beside(filled).value(total))


def _refuse_ties(scope: Scope, estimator: Estimator) -> None:
    """Refuse where a fitted row, one of its values taken away, has the choice between donors of different values."""
    holes = np.asarray(estimator._mask_fit_X)
    fitted = np.where(holes, np.nan, np.asarray(estimator._fit_X, np.float64))
    probes = np.unique(np.linspace(0, len(fitted) - 1, min(_PROBES, len(fitted))).astype(int))
    for column in np.flatnonzero(estimator._valid_mask):
        donors = np.flatnonzero(~holes[:, column])
        count = min(int(estimator.n_neighbors), len(donors))
        rows = fitted[probes]
        rows[:, column] = np.nan
        apart = nan_euclidean_distances(rows, fitted)[:, donors]
        apart[np.isnan(apart)] = np.inf
        last = np.partition(apart, count - 1, axis=1)[:, count - 1 : count]
        tied = (apart == last) & np.isfinite(last)
        values = fitted[donors, column]
        differ = np.where(tied, values, -np.inf).max(axis=1) > np.where(tied, values, np.inf).min(axis=1)
        chosen = (apart <= last).sum(axis=1) > count
        if (differ & chosen).any():
            names = getattr(estimator, "feature_names_in_", [f"x{index}" for index in range(holes.shape[1])])
            raise scope.refuse(
                estimator,
                f"for the column {names[column]!r}, {int((differ & chosen).sum())} of {len(probes)} fitted rows have "
                f"more than {count} nearest rows at exactly the same distance, and scikit-learn's choice among them "
                "is not defined; use SimpleImputer, or train on columns without such ties",
            )


def _distances(x: Tensor, missing: Tensor, fitted: Array, holes: Array) -> Tensor:
    """sklearn.metrics.pairwise.nan_euclidean_distances, squared; NaN where two rows share no value."""
    graph = x.graph
    known = missing.where(0.0, x)
    y = np.where(holes, 0, fitted).astype(fitted.dtype)
    made = squared_euclidean(graph, Value(known.name, known.dtype, fitted.shape[1]), y)
    squared = Tensor(graph, made.name, "float64")
    wide = known.cast("float64")
    absent = missing.cast("float64")
    squared = squared - (wide * wide) @ np.ascontiguousarray(holes.T.astype(np.float64))
    squared = squared - absent @ np.ascontiguousarray((y.astype(np.float64) ** 2).T)
    shared = (1.0 - absent) @ np.ascontiguousarray((~holes).T.astype(np.float64))
    squared = squared.most(0.0) / shared.most(1.0) * float(fitted.shape[1])
    return shared.equals(0.0).where(np.nan, squared).sqrt()


def _imputed(estimator: Estimator, distances: Tensor, values: Array, otherwise: float) -> Tensor:
    """KNNImputer._calc_impute for one column: distances `[batch, donors]` -> `[batch, 1]`.

    otherwise: what a row gets that shares no value with any donor, the mean of the column.
    """
    graph = distances.graph
    count = min(int(estimator.n_neighbors), len(values))
    none = distances.is_nan()
    far = none.where(np.inf, distances)
    near_name, place_name = graph.ops(
        "TopK", 2, far.name, graph.const(np.array([count], np.int64)), largest=0, sorted=1
    )
    near = Tensor(graph, near_name, "float64")
    donors = Tensor(graph, graph.op("Gather", graph.const(values, "float64"), place_name, axis=0), "float64")
    absent = near.equals(math.inf)
    weights = (~absent).cast("float64")
    mean = (weights * donors).sum() / weights.sum()
    all_absent = near.min().equals(math.inf)
    return all_absent.where(const(graph, np.full((1, 1), otherwise)), mean)


CONVERTERS: dict[str, Converter] = {"sklearn.impute.KNNImputer": knn_imputer}
