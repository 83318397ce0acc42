"""B-spline features are scipy's, inside the knots, on them and beyond them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.sklearn_parity import assert_same, signature_of_matrix

RNG = np.random.default_rng(0)
TRAIN = np.column_stack([RNG.normal(size=200), RNG.gamma(1, size=200) * 1e6, np.round(RNG.normal(size=200))])


def rows_around(model: Any, dtype: str, beyond: bool = True) -> Any:
    knots = np.stack([spline.t for spline in model.bsplines_], axis=1)
    low, high = TRAIN.min(axis=0), TRAIN.max(axis=0)
    rows = np.vstack([TRAIN, knots, np.nextafter(knots, np.inf), np.nextafter(knots, -np.inf)])
    if not beyond:
        degree = model.bsplines_[0].k
        return np.clip(rows, knots[degree], knots[-degree - 1]).astype(dtype)
    span = high - low
    return np.vstack([rows, low - 0.1 * span, high + 0.1 * span, low - 3 * span, high + 3 * span]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("extrapolation", ["constant", "continue", "linear", "periodic", "error"])
@pytest.mark.parametrize("degree", [1, 3, 5])
@pytest.mark.parametrize("parameters", [{}, {"knots": "quantile", "n_knots": 7, "include_bias": False}, {"order": "F", "sparse_output": True, "n_knots": 9}], ids=str)  # fmt: skip
def test_splines(parameters: dict[str, Any], degree: int, extrapolation: str, dtype: str) -> None:
    if parameters.get("n_knots", 5) <= degree and extrapolation == "periodic":
        pytest.skip("scikit-learn has no such spline")
    model = SplineTransformer(degree=degree, extrapolation=extrapolation, **parameters).fit(TRAIN)
    rows = rows_around(model, "float64", beyond=extrapolation != "error").astype(dtype)
    if extrapolation == "error" or ("sparse_output" in parameters and dtype == "float32"):
        # a sparse design matrix of float32 rows beyond the knots makes scikit-learn itself raise
        margin = np.ptp(TRAIN, axis=0) * 1e-3
        rows = np.clip(rows, TRAIN.min(axis=0) + margin, TRAIN.max(axis=0) - margin).astype(dtype)
    assert_same(model, rows, rtol=1e-12 if dtype == "float64" else 1e-6, atol=1e-13 if dtype == "float64" else 1e-9)


@pytest.mark.parametrize("extrapolation", ["continue", "linear", "periodic"])
def test_degree_zero_marks_intervals(extrapolation: str) -> None:
    model = SplineTransformer(degree=0, extrapolation=extrapolation).fit(TRAIN)
    assert_same(model, rows_around(model, "float64"), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("extrapolation", ["constant", "continue", "linear", "periodic"])
def test_a_missing_value_has_no_spline(extrapolation: str) -> None:
    model = SplineTransformer(extrapolation=extrapolation, handle_missing="zeros").fit(TRAIN)
    rows = TRAIN.copy()
    rows[::3, 1] = np.nan
    assert_same(model, rows, rtol=1e-12, atol=1e-14)


def test_given_knots_and_whole_numbers() -> None:
    knots = np.array([[0.0, -1, 2], [1, 0, 3], [5, 9, 4.5]])
    model = SplineTransformer(knots=knots, degree=2).fit(TRAIN)
    assert_same(model, RNG.integers(-3, 10, (50, 3)), rtol=1e-12, atol=1e-14)


def test_a_value_beyond_the_knots_has_no_number_where_scikit_learn_refuses_it() -> None:
    model = make_pipeline(SplineTransformer(extrapolation="error"), Ridge()).fit(TRAIN, TRAIN[:, 0])
    built = onnx_from_sklearn(model, signature_of_matrix(3, "float64"))
    rows = np.vstack([TRAIN[:3], TRAIN.max(axis=0) + 1])
    made = run(open_session(built.model.SerializeToString()), {"X": rows})["prediction"]
    assert np.isnan(made).tolist() == [False, False, False, True]
