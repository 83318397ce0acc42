"""Missing values are filled in and shown as scikit-learn does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder

from mlpack_edge.core.errors import Unsupported
from tests.converters.sklearn_parity import assert_same

RNG = np.random.default_rng(0)


def matrix(dtype: str, marker: float = np.nan) -> Any:
    """Five columns, the last without a hole, the third without a value."""
    rows = np.round(RNG.normal(size=(60, 5)) * 3, 1) if dtype != "int64" else RNG.integers(-3, 4, (60, 5))
    rows = rows.astype(dtype)
    rows[RNG.random(rows.shape) < 0.3] = marker
    rows[:, 4] = 5
    rows[:, 2] = marker
    return rows


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("indicator", [True, False])
@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize(
    ("dtype", "marker"),
    [("float32", np.nan), ("float64", np.nan), ("float32", 0.1), ("float64", 0.1), ("float32", np.float64(0.5)), ("int64", -1), ("float64", 0)],
)  # fmt: skip
def test_simple_imputer(dtype: str, marker: float, strategy: str, indicator: bool, empty: bool) -> None:
    model = SimpleImputer(missing_values=marker, strategy=strategy, add_indicator=indicator, keep_empty_features=empty)
    model.fit(matrix(dtype, marker))
    assert_same(model, matrix(dtype, marker), rtol=0, atol=0)


def test_imputer_fitted_in_another_dtype() -> None:
    model = SimpleImputer().fit(matrix("float64")[:, [0, 1]])
    assert_same(model, matrix("float32")[:, [0, 1]], rtol=0, atol=0)


def words(count: int = 80) -> Any:
    text = RNG.choice(["a", "b", "été"], count).astype(object)
    other = RNG.choice(["x", "Ω"], count).astype(object)
    number = RNG.normal(size=count)
    for column in (text, other):
        column[RNG.random(count) < 0.2] = np.nan
    number[::5] = np.nan
    return pandas.DataFrame({"text": text, "other": other, "number": number})


@pytest.mark.parametrize("parameters", [{"strategy": "most_frequent"}, {"strategy": "constant", "fill_value": "?"}])
@pytest.mark.parametrize("indicator", [True, False])
def test_text_is_imputed_before_it_is_encoded(parameters: dict[str, Any], indicator: bool) -> None:
    rows = words()
    text = SimpleImputer(add_indicator=indicator, **parameters)
    text = make_pipeline(text, OneHotEncoder(handle_unknown="ignore"))
    model = ColumnTransformer([("text", text, ["text", "other"]), ("number", SimpleImputer(), ["number"])])
    assert_same(make_pipeline(model, LogisticRegression()).fit(rows, np.arange(80) % 2), rows, missing=True)


def test_text_and_numbers_in_one_imputer() -> None:
    rows = words()
    model = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")).fit(rows)
    assert_same(model, rows, rtol=0, atol=0, missing=True)


@pytest.mark.parametrize("features", ["missing-only", "all"])
@pytest.mark.parametrize(("dtype", "marker"), [("float32", np.nan), ("float64", np.nan), ("int64", -1)])
def test_missing_indicator(features: str, dtype: str, marker: float) -> None:
    rows = matrix(dtype, marker)
    model = MissingIndicator(features=features, missing_values=marker).fit(rows)
    assert_same(model, rows, rtol=0, atol=0)
    assert_same(
        make_union(SimpleImputer(missing_values=marker, keep_empty_features=True), model).fit(rows),
        rows,
        rtol=0,
        atol=0,
    )


def test_missing_indicator_of_text() -> None:
    rows = words()
    assert_same(MissingIndicator().fit(rows), rows, rtol=0, atol=0, missing=True)


def test_none_among_texts_is_imputed() -> None:
    rows = pandas.DataFrame({"c": np.array(["x", None, "y", "y"], object)}, dtype=object)
    model = make_pipeline(SimpleImputer(missing_values=None, strategy="most_frequent"), OneHotEncoder())
    assert_same(model.fit(rows), rows, rtol=0, atol=0, missing=True)


def test_a_marker_that_no_tensor_holds_is_refused() -> None:
    rows = pandas.DataFrame({"c": pandas.array([1, None, 2], dtype="Int64")})
    model = SimpleImputer(missing_values=pandas.NA, strategy="most_frequent").fit(rows)
    with pytest.raises(Unsupported) as fault:
        assert_same(model, pandas.DataFrame({"c": [1.0, 2.0]}))
    assert "missing_values=<NA>" in fault.value.why


@pytest.mark.parametrize("fitted", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("parameters", [{}, {"n_neighbors": 3}, {"add_indicator": True, "n_neighbors": 500},
    {"keep_empty_features": True}], ids=str)  # fmt: skip
def test_knn_imputer(parameters: dict[str, Any], dtype: str, fitted: str) -> None:
    """Rows with one value only, without any, and rows of the fitted table itself."""
    train = RNG.normal(size=(80, 5))
    train[RNG.random(train.shape) < 0.3] = np.nan
    train[:, 2] = np.nan
    rows = np.vstack([train, RNG.normal(size=(60, 5))])
    rows[-60:][RNG.random((60, 5)) < 0.5] = np.nan
    rows[100] = np.nan
    model = KNNImputer(**parameters).fit(train.astype(fitted))
    assert_same(
        model, rows.astype(dtype), rtol=1e-9 if dtype == "float64" else 1e-6, atol=1e-9 if dtype == "float64" else 1e-6
    )


def test_knn_weights_that_magnify_rounding_are_refused() -> None:
    rows = matrix("float64")
    with pytest.raises(Unsupported) as fault:
        assert_same(KNNImputer(weights="distance").fit(rows), rows)
    assert "weights='distance'" in fault.value.why


def test_knn_donors_at_the_same_distance_are_refused() -> None:
    """Whole numbers: which of 30 people of the same age gives the value, numpy's argpartition decides."""
    rng = np.random.default_rng(0)
    train = np.stack([rng.integers(18, 90, 400), rng.normal(size=400)], 1)
    train[rng.random(400) < 0.1, 1] = np.nan
    with pytest.raises(Unsupported) as fault:
        assert_same(KNNImputer(n_neighbors=2).fit(train), train)
    assert "'x1'" in fault.value.why and "exactly the same distance" in fault.value.why


def test_knn_donors_that_are_tied_and_equal_are_no_tie() -> None:
    rng = np.random.default_rng(0)
    train = np.repeat(rng.normal(size=(40, 3)), 3, axis=0)
    rows = train.copy()
    rows[rng.random(rows.shape) < 0.2] = np.nan
    assert_same(KNNImputer(n_neighbors=2).fit(train), rows, rtol=1e-9, atol=1e-9)
