"""The kernel functions of sklearn.metrics.pairwise between the rows of a batch and fitted rows.

The casts are those of the library: where both sides are float32, each product, sum and exponential is rounded to
float32 as there; where one side is float64, all is float64. What is given is float64 (which holds a float32 exactly),
so that callers can go on in either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, TensorProto, helper

from mlpack_edge.converters.onnx_from_sklearn.columnwise import columnwise, unary
from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.core.errors import Unsupported

Array = NDArray[Any]
#: Every name `kernel` takes; scikit-learn's "precomputed" and callables are the caller's to refuse.
KERNELS = (
    "linear", "poly", "polynomial", "rbf", "sigmoid", "laplacian", "cosine", "chi2", "additive_chi2",
)  # fmt: skip


def kernel(
    graph: Graph,
    x: Value,
    y: Array,
    name: str,
    gamma: float | None = None,
    degree: float = 3,
    coef0: float = 1,
) -> Value:
    """k(x_i, y_j) as sklearn.metrics.pairwise.pairwise_kernels computes it, float64 `[batch, len(y)]`.

    x: `[batch, features]`, any numeric dtype; y: the fitted rows in the dtype in which the estimator keeps them (that
    dtype decides, with x's, whether the library rounds to float32). gamma None: 1 / features, for chi2 1.0.
    chi2 and additive_chi2 are defined for non-negative numbers (scikit-learn raises on others).
    Raises Unsupported for a name not in KERNELS.
    """
    makers: dict[str, Callable[[], Value]] = {
        "linear": lambda: _dot(graph, x, y),
        "poly": lambda: _polynomial(graph, x, y, gamma, degree, coef0),
        "polynomial": lambda: _polynomial(graph, x, y, gamma, degree, coef0),
        "rbf": lambda: _rbf(graph, x, y, gamma),
        "sigmoid": lambda: _sigmoid(graph, x, y, gamma, coef0),
        "laplacian": lambda: _laplacian(graph, x, y, gamma),
        "cosine": lambda: _cosine(graph, x, y),
        "chi2": lambda: _chi2(graph, x, y, 1.0 if gamma is None else gamma),
        "additive_chi2": lambda: _additive_chi2(graph, x, y),
    }
    if name not in makers:
        raise Unsupported(f"the kernel {name!r} is not one of {', '.join(KERNELS)}")
    return makers[name]()


def squared_euclidean(graph: Graph, x: Value, y: Array) -> Value:
    """Squared distances as euclidean_distances(x, y, squared=True): |x|^2 - 2xy + |y|^2, never below 0.

    float64 `[batch, len(y)]`. scikit-learn computes in float64 in every case, and rounds to float32 where one side
    is float32 and the other is too.
    """
    wide = graph.cast(x, "float64")
    fitted = y.astype(np.float64)
    product = graph.op("MatMul", wide, graph.const(np.ascontiguousarray(fitted.T)))
    doubled = graph.op("Mul", product, graph.const(np.array(-2.0)))
    norms = graph.op("ReduceSum", graph.op("Mul", wide, wide), graph.const(np.array([1], np.int64)), keepdims=1)
    own = np.einsum("ij,ij->i", fitted, fitted)[None, :]
    summed = Value(graph.op("Add", graph.op("Add", doubled, norms), graph.const(own)), "float64", len(y))
    rounded = _rounded(graph, summed, x, y)
    return Value(graph.op("Max", rounded, graph.const(np.array(0.0))), "float64", len(y))


def manhattan(graph: Graph, x: Value, y: Array) -> Value:
    """Sums of absolute differences, float64 `[batch, len(y)]`, added feature by feature (scipy's cityblock)."""
    return _over_features(graph, x, y, _manhattan_body)


def kernel_dtype(x: Value, y: Array, name: str) -> str:
    """The dtype in which scikit-learn holds the kernel matrix: scipy's cityblock behind "laplacian" is float64."""
    return "float32" if narrow(x, y) and name != "laplacian" else "float64"


def narrow(x: Value, y: Array) -> bool:
    """Whether scikit-learn stays in float32 for these two (`_return_float_dtype`)."""
    return x.dtype == "float32" and y.dtype == np.float32


def _rounded(graph: Graph, value: Value, x: Value, y: Array) -> Value:
    """`value` rounded to float32 where the library holds it in float32."""
    return graph.cast(graph.cast(value, "float32"), "float64") if narrow(x, y) else value


def _scaled(graph: Graph, value: Value, factor: float, x: Value, y: Array) -> Value:
    """`value *= factor` in place: a Python number takes the dtype of the array, a numpy one does not (NEP 50)."""
    if narrow(x, y) and not isinstance(factor, np.float64):
        factor = float(np.float32(factor))
    return _rounded(graph, columnwise(graph, "Mul", value, factor), x, y)


def _dot(graph: Graph, x: Value, y: Array) -> Value:
    """x @ y.T in the dtype of the library: ONNX Runtime's float32 product mostly has the very bits of numpy's."""
    dtype = "float32" if narrow(x, y) else "float64"
    weights = graph.const(np.ascontiguousarray(y.astype(dtype).T))
    made = Value(graph.op("MatMul", graph.cast(x, dtype), weights), dtype, len(y))
    return graph.cast(made, "float64")


def _affine(graph: Graph, x: Value, y: Array, gamma: float | None, coef0: float) -> Value:
    scaled = _scaled(graph, _dot(graph, x, y), 1.0 / y.shape[1] if gamma is None else gamma, x, y)
    if narrow(x, y) and not isinstance(coef0, np.float64):
        coef0 = float(np.float32(coef0))
    return _rounded(graph, columnwise(graph, "Add", scaled, coef0), x, y)


def _polynomial(graph: Graph, x: Value, y: Array, gamma: float | None, degree: float, coef0: float) -> Value:
    return _rounded(graph, columnwise(graph, "Pow", _affine(graph, x, y, gamma, coef0), degree), x, y)


def _sigmoid(graph: Graph, x: Value, y: Array, gamma: float | None, coef0: float) -> Value:
    return _rounded(graph, unary(graph, "Tanh", _affine(graph, x, y, gamma, coef0)), x, y)


def _rbf(graph: Graph, x: Value, y: Array, gamma: float | None) -> Value:
    factor = -(1.0 / y.shape[1] if gamma is None else gamma)
    scaled = _scaled(graph, squared_euclidean(graph, x, y), factor, x, y)
    return _rounded(graph, unary(graph, "Exp", scaled), x, y)


def _laplacian(graph: Graph, x: Value, y: Array, gamma: float | None) -> Value:
    """In float64 throughout, as scipy.spatial.distance.cdist is."""
    factor = -(1.0 / y.shape[1] if gamma is None else gamma)
    return unary(graph, "Exp", columnwise(graph, "Mul", manhattan(graph, x, y), float(factor)))


def _cosine(graph: Graph, x: Value, y: Array) -> Value:
    from sklearn.preprocessing import normalize

    wide = graph.cast(x, "float64")
    axis = graph.const(np.array([1], np.int64))
    squares = Value(graph.op("ReduceSum", graph.op("Mul", wide, wide), axis, keepdims=1), "float64", 1)
    norms = _rounded(graph, unary(graph, "Sqrt", squares), x, y)
    # sklearn.preprocessing._data._handle_zeros_in_scale: a norm below ten units in the last place of 1 counts as none.
    least = graph.const(np.array(10 * np.finfo(np.float32 if narrow(x, y) else np.float64).eps, np.float64))
    safe = graph.op("Where", graph.op("Less", norms, least), graph.const(np.array(1.0)), norms)
    unit = Value(graph.op("Div", wide, safe), "float64", x.width)
    if narrow(x, y):
        unit = graph.cast(unit, "float32")
    return _dot(graph, unit, normalize(y if narrow(x, y) else y.astype(np.float64)))


def _additive_chi2(graph: Graph, x: Value, y: Array) -> Value:
    summed = _over_features(graph, x, y, _chi2_body)
    return _rounded(graph, unary(graph, "Neg", summed), x, y)


def _chi2(graph: Graph, x: Value, y: Array, gamma: float) -> Value:
    return _rounded(graph, unary(graph, "Exp", _scaled(graph, _additive_chi2(graph, x, y), gamma, x, y)), x, y)


def _over_features(graph: Graph, x: Value, y: Array, body: Callable[[Graph], GraphProto]) -> Value:
    """Sum f(x_ik, y_jk) over the features k, one after the other: never more than `[batch, len(y)]` in memory."""
    turned = graph.op("Transpose", graph.cast(x, "float64"), perm=[1, 0])
    left = graph.op("Unsqueeze", turned, graph.const(np.array([2], np.int64)))
    right = np.ascontiguousarray(y.astype(np.float64).T)[:, None, :]
    batch = graph.op("Shape", x, start=0, end=1)
    shape = graph.op("Concat", batch, graph.const(np.array([len(y)], np.int64)), axis=0)
    zeros = graph.op("Expand", graph.const(np.zeros((1, 1))), shape)
    summed = graph.op("Scan", zeros, left, graph.const(right), body=body(graph), num_scan_inputs=2)
    return Value(summed, "float64", len(y))


def _body(graph: Graph, steps: Callable[[dict[str, str]], list[Any]]) -> GraphProto:
    """A Scan body: (sum, one feature of x `[batch, 1]`, the same of y `[1, rows]`) -> the new sum."""
    names = {name: graph.fresh(name) for name in ("sum", "x", "y", "a", "b", "c", "d", "e", "f", "out")}
    inputs = [helper.make_tensor_value_info(names[name], TensorProto.DOUBLE, None) for name in ("sum", "x", "y")]
    output = helper.make_tensor_value_info(names["out"], TensorProto.DOUBLE, None)
    return helper.make_graph(steps(names), graph.fresh("features"), inputs, [output])


def _manhattan_body(graph: Graph) -> GraphProto:
    return _body(
        graph,
        lambda n: [
            helper.make_node("Sub", [n["x"], n["y"]], [n["a"]]),
            helper.make_node("Abs", [n["a"]], [n["b"]]),
            helper.make_node("Add", [n["sum"], n["b"]], [n["out"]]),
        ],
    )


def _chi2_body(graph: Graph) -> GraphProto:
    """sum + (x - y)^2 / (x + y), nothing where x + y is 0."""
    one = graph.const(np.array(1.0))
    zero = graph.const(np.array(0.0))
    return _body(
        graph,
        lambda n: [
            helper.make_node("Sub", [n["x"], n["y"]], [n["a"]]),
            helper.make_node("Mul", [n["a"], n["a"]], [n["b"]]),
            helper.make_node("Add", [n["x"], n["y"]], [n["c"]]),
            helper.make_node("Equal", [n["c"], zero], [n["f"]]),
            helper.make_node("Where", [n["f"], one, n["c"]], [n["d"]]),
            helper.make_node("Div", [n["b"], n["d"]], [n["e"]]),
            helper.make_node("Add", [n["sum"], n["e"]], [n["out"]]),
        ],
    )
