"""SplineTransformer: B-spline bases by the recursion of de Boor, in the order of operations of scipy's BSpline.

All features have equally many knots, so one `[batch, features, knots]` tensor holds them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.frame import Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.decomposition import floats
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, const

Array = NDArray[Any]


def spline_transformer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """SplineTransformer.transform, `[batch, features * splines]`.

    With extrapolation="error" scikit-learn raises on a value beyond the knots; this gives NaN for it. A NaN gives
    zeros, as handle_missing="zeros" does.
    """
    graph = scope.graph
    splines = estimator.bsplines_
    degree = int(splines[0].k)
    knots = np.stack([np.asarray(spline.t, np.float64) for spline in splines])
    count = knots.shape[1] - degree - 1
    given = floats(scope, frame)
    raw = given.cast("float64").reshape(-1, len(splines), 1)
    x = _wrapped(raw, knots[:, degree], knots[:, count]) if estimator.extrapolation == "periodic" else raw
    made = _basis(x, knots, degree, count)
    if estimator.extrapolation == "periodic":
        made = made @ np.asarray(splines[0].c, np.float64)
    elif estimator.extrapolation == "error":
        beyond = (raw < const(graph, knots[:, degree].reshape(1, -1, 1))) | (
            raw > const(graph, knots[:, count].reshape(1, -1, 1))
        )
        made = beyond.where(np.nan, made)
    elif estimator.extrapolation in ("constant", "linear"):
        made = _extrapolated(raw, made, _ends(estimator, degree))
    elif estimator.extrapolation != "continue":
        raise scope.refuse(estimator, f"extrapolation={estimator.extrapolation!r}")
    made = raw.is_nan().where(0.0, made)
    width = int(splines[0].c.shape[1])
    if not estimator.include_bias:
        width -= 1
        made = made.take(np.arange(width), axis=2)
    flat = made.reshape(-1, len(splines) * width)
    # scipy makes sparse design matrices in float64, whatever comes in
    return frame_of((flat if estimator.sparse_output else flat.cast(given.dtype)).value(len(splines) * width))


def _basis(x: Tensor, knots: Array, degree: int, count: int) -> Tensor:
    """The `count` basis functions of each feature: x `[batch, features, 1]` -> `[batch, features, count]`.

    scipy.interpolate.BSpline: the interval is the last one that starts at or below x, among those from knot `degree` to
    knot `count`; beyond them the first or last polynomial goes on.
    """
    graph = x.graph
    lower, upper = knots[:, :-1].copy(), knots[:, 1:].copy()
    lower[:, :degree], upper[:, :degree] = np.inf, -np.inf
    lower[:, count:], upper[:, count:] = np.inf, -np.inf
    lower[:, degree], upper[:, count - 1] = -np.inf, np.inf
    # the last interval is closed, also to infinity
    inside = (x >= const(graph, lower[None])) & ((x < const(graph, upper[None])) | const(graph, upper[None] == np.inf))
    made = inside.cast("float64")
    for order in range(1, degree + 1):
        places = knots.shape[1] - order
        spans = knots[:, order:] - knots[:, :places]
        spans[spans == 0] = np.inf  # two equal knots: nothing is handed on
        weights = made / const(graph, spans[None])
        rising = weights * (x - const(graph, knots[None, :, :places]))
        falling = weights * (const(graph, knots[None, :, order:]) - x)
        left = rising.take(np.arange(places - 1), axis=2)
        made = left + falling.take(np.arange(1, places), axis=2)
    return made


def _wrapped(x: Tensor, start: Array, stop: Array) -> Tensor:
    """start + (x - start) % (stop - start), with the sign of numpy's remainder; 0 where the period is none."""
    graph = x.graph
    period = (stop - start).reshape(1, -1, 1)
    first = const(graph, start.reshape(1, -1, 1))
    safe = const(graph, np.where(period > 0, period, 1.0))
    rest = Tensor(graph, graph.op("Mod", (x - first).name, safe.name, fmod=1), "float64", 3)
    rest = (rest < 0.0).where(rest + safe, rest)
    return const(graph, period > 0).where(first + rest, 0.0)


@dataclass(frozen=True, slots=True)
class _End:
    """Below `limit` (or above it) the splines are `values + (x - limit) * slopes`; arrays `[features, ...]`."""

    limit: Array
    values: Array
    slopes: Array


def _ends(estimator: Estimator, degree: int) -> tuple[_End, _End]:
    """What SplineTransformer.transform puts beyond the knots.

    It raises `degree` to at least 2 for linear extrapolation inside its loop over the features, so that from the
    second feature on the limits are those of the raised degree; this does the same.
    """
    low: list[tuple[float, Array, Array]] = []
    high: list[tuple[float, Array, Array]] = []
    linear = estimator.extrapolation == "linear"
    for spline in estimator.bsplines_:
        least, most = spline.t[degree], spline.t[-degree - 1]
        below, above = spline(least), spline(most)
        slopes = (spline(least, nu=1), spline(most, nu=1)) if linear else (below * 0, above * 0)
        if linear and degree <= 1:
            degree += 1
        first, last = np.arange(len(below)) < degree, np.arange(len(below)) >= len(below) - degree
        low.append((float(least), np.where(first, below, 0.0), np.where(first, slopes[0], 0.0)))
        high.append((float(most), np.where(last, above, 0.0), np.where(last, slopes[1], 0.0)))
    return _end(low), _end(high)


def _end(parts: list[tuple[float, Array, Array]]) -> _End:
    limits, values, slopes = zip(*parts, strict=True)
    return _End(np.reshape(limits, (1, -1, 1)), np.stack(values)[None], np.stack(slopes)[None])


def _extrapolated(x: Tensor, made: Tensor, ends: tuple[_End, _End]) -> Tensor:
    for end, outside in zip(ends, (x < const(x.graph, ends[0].limit), x > const(x.graph, ends[1].limit)), strict=True):
        line = const(x.graph, end.values)
        if end.slopes.any():
            line = (x - const(x.graph, end.limit)) * const(x.graph, end.slopes) + line
        made = outside.where(line, made)
    return made


CONVERTERS: dict[str, Converter] = {"sklearn.preprocessing.SplineTransformer": spline_transformer}
