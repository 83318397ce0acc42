"""Boosted trees decide and score as scikit-learn does: losses, initial estimators, categories, missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpack_edge.core.errors import Unsupported
from tests.converters.sklearn_parity import assert_same
from tests.converters.test_sklearn_trees import around

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def tight(dtype: str) -> dict[str, float]:
    return {"rtol": 1e-13, "atol": 1e-15} if dtype == "float64" else {"rtol": 1e-6, "atol": 1e-7}


@DTYPES
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_gradient_boosting_gives_the_value_of_every_loss(loss: str, dtype: str) -> None:
    rows, target = load_diabetes(return_X_y=True)
    model = GradientBoostingRegressor(loss=loss, random_state=0).fit(rows, target)
    assert_same(model, around(rows.astype(dtype), model.estimators_.ravel()), **tight(dtype))


@DTYPES
@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_gradient_boosting_of_two_classes(loss: str, dtype: str) -> None:
    rows, target = load_wine(return_X_y=True)
    model = GradientBoostingClassifier(loss=loss, random_state=0, n_estimators=30).fit(rows, target == 1)
    assert_same(model, around(rows.astype(dtype), model.estimators_.ravel()), **tight(dtype))


@DTYPES
def test_gradient_boosting_of_several_classes(dtype: str) -> None:
    rows, target = load_iris(return_X_y=True)
    model = GradientBoostingClassifier(random_state=0, n_estimators=30).fit(rows, np.array(list("cab"))[target])
    assert_same(model, around(rows.astype(dtype), model.estimators_.ravel()), **tight(dtype))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("init", ["zero", LogisticRegression(max_iter=5000), DummyClassifier(strategy="most_frequent")])
def test_gradient_boosting_starts_from_any_classifier(init: Any, classes: int) -> None:
    rows, target = load_wine(return_X_y=True)
    model = GradientBoostingClassifier(init=init, random_state=0, n_estimators=20)
    assert_same(model.fit(rows, np.minimum(target, classes - 1)), rows, rtol=1e-6)


@pytest.mark.parametrize("init", ["zero", make_pipeline(StandardScaler(), LinearRegression())])
def test_gradient_boosting_starts_from_any_regressor(init: Any) -> None:
    rows, target = load_diabetes(return_X_y=True)
    assert_same(GradientBoostingRegressor(init=init, random_state=0).fit(rows, target), rows, rtol=1e-6)


def test_gradient_boosting_that_starts_from_lots_is_refused() -> None:
    rows, target = load_iris(return_X_y=True)
    model = GradientBoostingClassifier(init=DummyClassifier(strategy="uniform"), n_estimators=2).fit(rows, target)
    with pytest.raises(Unsupported) as refused:
        assert_same(model, rows)
    assert "lots" in refused.value.why


@DTYPES
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma", "quantile"])
def test_hist_gradient_boosting_gives_the_value_of_every_loss(loss: str, dtype: str) -> None:
    rows, target = load_diabetes(return_X_y=True)
    model = HistGradientBoostingRegressor(loss=loss, quantile=0.7 if loss == "quantile" else None, max_iter=40)
    assert_same(model.fit(rows.astype(dtype), target), rows.astype(dtype), **tight(dtype))


def hist_thresholds(model: Any) -> list[tuple[int, float]]:
    nodes = np.concatenate([tree.nodes for stage in model._predictors for tree in stage])
    nodes = nodes[nodes["is_leaf"] == 0]
    return list(zip(nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist(), strict=True))


@DTYPES
@pytest.mark.parametrize("classes", [2, 3])
def test_hist_gradient_boosting_on_its_thresholds(classes: int, dtype: str) -> None:
    """Rows on a float64 threshold or the nearest numbers beside it, with missing values, in both widths."""
    rows, target = load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    rows = np.where(rng.random(rows.shape) < 0.1, np.nan, rows)
    model = HistGradientBoostingClassifier(max_iter=40).fit(rows, np.minimum(target, classes - 1))
    splits = hist_thresholds(model)
    near = rows[rng.integers(0, len(rows), 2000)].astype(dtype)
    for row, place in zip(near, rng.integers(0, len(splits), len(near)), strict=True):
        exact = near.dtype.type(splits[place][1])
        row[splits[place][0]] = np.nextafter(exact, exact + rng.integers(-1, 2))
    assert_same(model, near, **tight(dtype))


@DTYPES
def test_hist_gradient_boosting_with_numbered_categories(dtype: str) -> None:
    """Categories in columns between numeric ones, far from 0..n, unknown ones and missing ones among the rows."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 5))
    rows[:, 1], rows[:, 3] = rng.integers(0, 200, 3000) * 3 + 7, rng.integers(-4, 5, 3000)
    target = ((rows[:, 1] % 7 > 2) ^ (rows[:, 3] % 2 == 0) ^ (rows[:, 0] > 0)).astype(int)
    rows[rng.random(rows.shape) < 0.05] = np.nan
    model = HistGradientBoostingClassifier(max_iter=30, categorical_features=[1, 3], max_bins=255)
    model.fit(rows[:2000].astype(dtype), target[:2000])
    rows[2500:, 1] += rng.choice([0, 0.5, 1, 1e9, -1e9], 500)
    assert_same(model, rows.astype(dtype), **tight(dtype))


def test_hist_gradient_boosting_by_mask_and_by_name() -> None:
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {"a": rng.normal(size=900), "b": rng.integers(0, 9, 900).astype(float), "c": rng.random(900)}
    )
    target = frame["a"] + (frame["b"] % 3) * 2 + rng.normal(size=900) / 9
    named = HistGradientBoostingRegressor(categorical_features=["b"], max_iter=20).fit(frame, target)
    assert_same(named, frame, rtol=1e-12)
    masked = HistGradientBoostingRegressor(categorical_features=[False, True, False], max_iter=20)
    assert_same(masked.fit(frame.to_numpy(), target), frame.to_numpy(), rtol=1e-12)


def test_hist_gradient_boosting_takes_text_categories_of_a_data_frame() -> None:
    """The default `from_dtype`: what pandas calls a category is one, non-ASCII, missing and unknown texts included."""
    rng = np.random.default_rng(0)
    towns = np.array(["Zürich", "Łódź", "東京", "Rome", "Oslo", "Quito"])
    frame = pandas.DataFrame(
        {"age": rng.normal(size=1200), "town": towns[rng.integers(0, 6, 1200)], "rank": rng.integers(0, 5, 1200)}
    )
    target = frame["town"].isin(["Rome", "東京"]) ^ (frame["age"] > 0)
    frame.loc[rng.random(1200) < 0.05, "town"] = None
    trained = frame.astype({"town": "category", "rank": "category"})
    model = HistGradientBoostingClassifier(max_iter=20).fit(trained, target)
    unknown = frame.copy()
    unknown.loc[unknown.index[::7], "town"] = "Atlantis"
    assert_same(model, unknown, rtol=1e-12, missing=True)


@pytest.mark.parametrize("opset", [20, 26])
def test_boosting_works_at_every_opset(opset: int) -> None:
    rows, target = load_wine(return_X_y=True)
    categories = np.column_stack([rows, np.arange(len(rows)) % 50])
    for model in (
        GradientBoostingClassifier(n_estimators=60, random_state=0),
        HistGradientBoostingClassifier(max_iter=20, categorical_features=[13], min_samples_leaf=2),
    ):
        assert_same(model.fit(categories, target), categories, opset=opset, **tight("float64"))
