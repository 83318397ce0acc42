"""The kernels say what sklearn.metrics.pairwise says, in its dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from sklearn.metrics import pairwise

from mlpack_edge.converters.onnx_from_sklearn.kernels import KERNELS, kernel, manhattan, squared_euclidean
from mlpack_edge.converters.onnx_graph import ONNX_TYPE, Graph, Value
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnxruntime import open_session, run


def evaluate(rows: Any, make: Any, opset: int = 21) -> Any:
    """What the graph that `make(graph, x)` writes gives for `rows`."""
    graph = Graph(opset)
    made = make(graph, Value("X", str(rows.dtype), rows.shape[1]))
    info = helper.make_tensor_value_info("X", ONNX_TYPE[str(rows.dtype)], ("batch", rows.shape[1]))
    out = helper.make_tensor_value_info(made.name, ONNX_TYPE[made.dtype], ("batch", made.width))
    model = graph.model([info], [out])
    onnx.checker.check_model(model, full_check=True)
    return run(open_session(model.SerializeToString()), {"X": rows})[made.name]


def rows_of(count: int, dtype: str, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    rows = rng.gamma(1.0, 2.0, (count, 5))
    rows[rng.random(rows.shape) < 0.2] = 0.0
    return rows.astype(dtype)


@pytest.mark.parametrize("fitted", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [0, 1, 300])
@pytest.mark.parametrize("name", KERNELS)
def test_kernel_equals_scikit_learn(name: str, count: int, dtype: str, fitted: str) -> None:
    x, y = rows_of(count, dtype), rows_of(40, fitted, seed=1)
    if count > 40:
        x[:20] = y[:20]
    made = evaluate(x, lambda graph, value: kernel(graph, value, y, name))
    expected = pairwise.pairwise_kernels(x, y, metric=name) if count else np.zeros((0, 40))
    assert made.shape == (count, 40)
    assert made.dtype == np.float64
    rtol = 5e-6 if dtype == fitted == "float32" else 1e-12
    np.testing.assert_allclose(made, expected, rtol=rtol, atol=1e-7 if dtype == fitted == "float32" else 1e-13)


@pytest.mark.parametrize("gamma", [0.3, np.float64(0.3)])
def test_parameters_reach_the_kernel(gamma: float) -> None:
    x, y = rows_of(50, "float32"), rows_of(9, "float32", seed=1)
    for name, more in [("poly", {"degree": 2, "coef0": 0.5}), ("sigmoid", {"coef0": -3.0}), ("rbf", {}), ("chi2", {})]:
        made = evaluate(x, lambda graph, value, name=name, more=more: kernel(graph, value, y, name, gamma, **more))
        expected = pairwise.pairwise_kernels(x, y, metric=name, gamma=gamma, **more)
        np.testing.assert_allclose(made, expected, rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize("opset", [20, 26])
def test_distances_of_large_offsets_keep_the_librarys_cancellation(opset: int) -> None:
    """Rows near 1e6 in float32: the library computes in float64 and rounds once."""
    x = (rows_of(60, "float64") + 1e6).astype("float32")
    y = (rows_of(7, "float64", seed=1) + 1e6).astype("float32")
    made = evaluate(x, lambda graph, value: squared_euclidean(graph, value, y), opset)
    expected = pairwise.euclidean_distances(x, y, squared=True)
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-2)  # one unit in the last place of |x|^2 is 1e-3
    made = evaluate(x, lambda graph, value: manhattan(graph, value, y), opset)
    np.testing.assert_array_equal(made, pairwise.manhattan_distances(x, y))


def test_an_unknown_kernel_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="'precomputed'"):
        kernel(Graph(), Value("X", "float64", 2), np.zeros((1, 2)), "precomputed")
