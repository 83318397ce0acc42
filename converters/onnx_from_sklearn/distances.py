"""Distances between the rows of a batch and fitted rows, in float64.

Two roads to the Euclidean one, as in scikit-learn: through the matrix product (`|x|^2 - 2xy + |y|^2`, what its brute
force and its clusterers do; loses small distances between large numbers), and by differences feature by feature
(what its trees do; exact zeros for equal rows).
"""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, TensorProto, helper

from mlpack_edge.converters.onnx_from_sklearn.scope import Scope
from mlpack_edge.converters.onnx_graph import Array, Graph
from mlpack_edge.converters.tensor import Tensor
from mlpack_edge.core.errors import Unsupported

#: The metrics `distances` takes, by the name it gives them.
_ALIASES = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan"}
METRICS = ("euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski", "cosine")


def distances(
    scope: Scope, x: Tensor, y: Array, metric: str, p: float = 2.0, direct: bool = False, ranked: bool = False
) -> Tensor:
    """Distances `[batch, len(y)]` for x `[batch, features]` in float64.

    metric: one of METRICS, "l1", "l2" or "cityblock"; p is the power of "minkowski". direct: the Euclidean metrics by
    differences. ranked: only the order along a row counts, so that the root and what is the same for the whole row
    may be left out.
    Raises Unsupported for other metrics.
    """
    name = _ALIASES.get(metric, metric)
    fitted = np.asarray(y, np.float64)
    if name == "minkowski" and p in (1, 2):
        name = "manhattan" if p == 1 else "euclidean"
    if name not in METRICS or (name == "minkowski" and not np.isfinite(p)):
        raise Unsupported(f"the metric {metric!r} is not one of {', '.join(METRICS)}")
    if name == "cosine":
        return (1.0 - _unit(x) @ np.ascontiguousarray(_unit_rows(fitted).T)).clip(0.0, 2.0)
    if name == "manhattan":
        return _over_features(scope.graph, x, fitted, "Add", ("Abs",))
    if name == "chebyshev":
        return _over_features(scope.graph, x, fitted, "Max", ("Abs",))
    if name == "minkowski":
        powers = _over_features(scope.graph, x, fitted, "Add", ("Abs", "Pow"), float(p))
        return powers if ranked else powers ** (1.0 / float(p))
    squared = _squared(scope.graph, x, fitted, direct, ranked)
    return squared if name == "sqeuclidean" or ranked else squared.sqrt()


def _squared(graph: Graph, x: Tensor, y: Array, direct: bool, ranked: bool) -> Tensor:
    if direct:
        return _over_features(graph, x, y, "Add", ("Mul",))
    own: Array = np.einsum("ij,ij->i", y, y)[None, :]
    product = x @ np.ascontiguousarray(-2.0 * y.T)  # doubling is exact, so is its place
    if ranked:
        return product + own
    summed = (x * x).sum() + product + own
    return summed.most(0.0)


def _unit(x: Tensor) -> Tensor:
    norms = (x * x).sum().sqrt()
    return x / (norms < 10 * np.finfo(np.float64).eps).where(1.0, norms)


def _unit_rows(y: Array) -> Array:
    from sklearn.preprocessing import normalize

    made: Array = normalize(y)
    return made


def _over_features(graph: Graph, x: Tensor, y: Array, fold: str, terms: tuple[str, ...], power: float = 0.0) -> Tensor:
    """Fold terms of x_ik - y_jk over the features k, one after the other: never more than `[batch, len(y)]` at a time.

    fold: Add or Max. terms: what is made of a difference, one after the other: Abs, Mul (by itself) or Pow (`power`).
    """
    left = graph.op("Unsqueeze", x.transposed(1, 0).name, graph.const(np.array([2], np.int64)))
    right = graph.const(np.ascontiguousarray(y.T)[:, None, :])
    batch = graph.op("Shape", x.name, start=0, end=1)
    shape = graph.op("Concat", batch, graph.const(np.array([len(y)], np.int64)), axis=0)
    start = graph.op("Expand", graph.const(np.zeros((1, 1))), shape)
    names = [graph.fresh(stem) for stem in ("sum", "x", "y", "difference", "folded")]
    exponent = graph.const(np.array([[power]]))
    body: list[NodeProto] = [helper.make_node("Sub", names[1:3], [names[3]])]
    last = names[3]
    for term in terms:
        made = graph.fresh("term")
        inputs = {"Abs": [last], "Mul": [last, last], "Pow": [last, exponent]}[term]
        body.append(helper.make_node(term, inputs, [made]))
        last = made
    body.append(helper.make_node(fold, [names[0], last], [names[4]]))
    infos = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in names]
    inner = helper.make_graph(body, graph.fresh("features"), infos[:3], infos[4:])
    return Tensor(graph, graph.op("Scan", start, left, right, body=inner, num_scan_inputs=2), "float64")
