"""Trees, forests and isolation forests decide as scikit-learn does, at float32 and at float64 input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_linnerud, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from mlpack_edge.core.errors import Unsupported
from tests.converters.sklearn_parity import assert_same

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
Rows = NDArray[Any]


def around(rows: Rows, trees: Any, seed: int = 0) -> Rows:
    """The rows, and copies of them that lie on a split threshold or next to it, in float32 or float64 steps."""
    rng = np.random.default_rng(seed)
    splits = [(f, t) for part in trees for f, t in zip(part.tree_.feature, part.tree_.threshold, strict=True) if f >= 0]
    picked = [splits[i] for i in rng.integers(0, len(splits), 4 * len(rows))]
    near = rows[rng.integers(0, len(rows), len(picked))].copy()
    for place, (feature, threshold) in enumerate(picked):
        exact = rows.dtype.type(threshold)
        near[place, feature] = rng.choice(
            [exact, np.nextafter(exact, exact.dtype.type(-np.inf)), np.nextafter(exact, exact.dtype.type(np.inf))]
        )
    return np.concatenate([rows, near])


@DTYPES
@pytest.mark.parametrize("kind", [DecisionTreeClassifier, ExtraTreeClassifier])
@pytest.mark.parametrize("depth", [None, 3])
def test_a_tree_gives_the_fractions_of_its_leaf(kind: Any, depth: int | None, dtype: str) -> None:
    rows, target = load_wine(return_X_y=True)
    model = kind(random_state=0, max_depth=depth).fit(rows, target)
    assert_same(model, around(rows.astype(dtype), [model]), rtol=0, atol=1e-15 if dtype == "float64" else 1e-7)


@DTYPES
@pytest.mark.parametrize("kind", [DecisionTreeRegressor, ExtraTreeRegressor])
def test_a_tree_gives_the_value_of_its_leaf(kind: Any, dtype: str) -> None:
    rows, target = load_diabetes(return_X_y=True)
    model = kind(random_state=0).fit(rows, target)
    assert_same(model, around(rows.astype(dtype), [model]), rtol=1e-7)


@DTYPES
@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
@pytest.mark.parametrize("options", [{}, {"max_depth": 4}, {"min_samples_leaf": 5, "class_weight": "balanced"}])
def test_a_forest_of_several_classes_votes_alike(kind: Any, options: dict[str, Any], dtype: str) -> None:
    rows, target = load_digits(return_X_y=True)
    model = kind(30, random_state=0, **options).fit(rows[:900], target[:900])
    assert_same(
        model, around(rows.astype(dtype), model.estimators_), rtol=1e-14 if dtype == "float64" else 1e-7, atol=0
    )


@DTYPES
def test_a_forest_at_a_tie_takes_the_same_class(dtype: str) -> None:
    """With few trees on noise half of the votes are even, and the first class must win."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 6))
    model = RandomForestClassifier(10, random_state=0).fit(rows[:400], rng.integers(0, 2, 400).astype(str))
    chances = model.predict_proba(rows)
    assert (chances[:, 0] == 0.5).sum() > 100
    assert_same(model, rows.astype(dtype))


def test_a_forest_of_mixed_leaves_at_a_near_tie_takes_the_same_class() -> None:
    """Fractions like 1/3 + 2/3 and 2/3 + 1/3 differ in the last bit of their sum, which decides the class."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 4, size=(3000, 3)).astype(np.float64)
    model = RandomForestClassifier(12, random_state=0, min_samples_leaf=3, bootstrap=False, max_features=1)
    model.fit(rows[:90], rng.integers(0, 2, 90))
    assert_same(model, rows, rtol=0, atol=0)


@DTYPES
@pytest.mark.parametrize("kind", [RandomForestRegressor, ExtraTreesRegressor])
def test_a_forest_gives_the_mean(kind: Any, dtype: str) -> None:
    rows, target = load_diabetes(return_X_y=True)
    model = kind(40, random_state=0).fit(rows, target)
    assert_same(model, around(rows.astype(dtype), model.estimators_), rtol=1e-14 if dtype == "float64" else 1e-7)


@pytest.mark.parametrize("model", [RandomForestRegressor(20, random_state=0), DecisionTreeRegressor(random_state=0)])
def test_several_targets_are_columns(model: Any) -> None:
    rows, target = load_linnerud(return_X_y=True)
    assert_same(model.fit(rows, target), rows, rtol=1e-14)


def test_several_classified_outputs_are_refused() -> None:
    rows, target = load_iris(return_X_y=True)
    model = RandomForestClassifier(3, random_state=0).fit(rows, np.stack([target, 1 - target // 2], axis=1))
    with pytest.raises(Unsupported, match="RandomForestClassifier") as refused:
        assert_same(model, rows)
    assert "outputs" in refused.value.why


@DTYPES
@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier])
def test_missing_values_go_where_the_tree_sends_them(kind: Any, dtype: str) -> None:
    rows, target = load_wine(return_X_y=True)
    rng = np.random.default_rng(0)
    rows = np.where(rng.random(rows.shape) < 0.3, np.nan, rows)
    model = kind(random_state=0, max_depth=6).fit(rows, target)
    assert_same(model, rows.astype(dtype))


def test_float64_columns_of_great_magnitude_are_cast_as_scikit_learn_casts_them() -> None:
    """Epoch seconds do not fit float32: scikit-learn rounds them first and then compares."""
    rng = np.random.default_rng(0)
    rows = 1.7e9 + rng.integers(0, 5000, size=(4000, 3)).astype(np.float64)
    model = RandomForestClassifier(30, random_state=0).fit(rows, (rows.sum(axis=1) % 3 > 1).astype(int))
    assert_same(model, rows, rtol=0, atol=0)


def test_a_scaler_before_a_forest_stays_in_float64() -> None:
    rows, target = load_wine(return_X_y=True)
    assert_same(make_pipeline(StandardScaler(), RandomForestClassifier(50, random_state=0)).fit(rows, target), rows)


@DTYPES
@pytest.mark.parametrize("options", [{}, {"contamination": 0.1}, {"max_features": 0.5, "max_samples": 64}])
def test_an_isolation_forest_finds_the_same_outliers(options: dict[str, Any], dtype: str) -> None:
    """The rows are those it was fitted on: the offset is the score of one of them."""
    rows = load_wine().data.astype(dtype)
    model = IsolationForest(n_estimators=50, random_state=0, **options).fit(rows)
    assert_same(model, rows, rtol=1e-13 if dtype == "float64" else 1e-6, atol=1e-15 if dtype == "float64" else 1e-7)


def test_an_embedding_marks_the_leaf_of_each_tree() -> None:
    rows = load_wine().data
    model = RandomTreesEmbedding(10, max_depth=3, random_state=0).fit(rows)
    assert_same(make_pipeline(model, "passthrough"), rows, rtol=0, atol=0)


@pytest.mark.parametrize("opset", [20, 23, 24, 26])
@pytest.mark.parametrize("depth", [None, 5])
def test_forests_work_at_every_opset(opset: int, depth: int | None) -> None:
    rows, target = load_digits(return_X_y=True)
    model = RandomForestClassifier(20, max_depth=depth, random_state=0).fit(rows, target % 3)
    assert_same(model, rows, opset=opset, rtol=0, atol=0)


def test_a_forest_reads_a_data_frame_column_by_column() -> None:
    rows, target = load_wine(return_X_y=True, as_frame=True)
    rows["proline"] = rows["proline"].astype(np.int64)
    assert_same(RandomForestClassifier(20, random_state=0).fit(rows, target), rows, rtol=0, atol=0)
