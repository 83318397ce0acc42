"""Bagging and AdaBoost give what scikit-learn gives, over trees and over anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_linnerud, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor, BaggingClassifier, BaggingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

from tests.converters.sklearn_parity import assert_same
from tests.converters.test_sklearn_trees import around

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
NAMES = np.array(["rouge", "blanc", "rosé"])


@DTYPES
@pytest.mark.parametrize("options", [{}, {"max_features": 0.5}, {"max_features": 0.7, "bootstrap_features": True}])
def test_bagged_trees_on_their_columns(options: dict[str, Any], dtype: str) -> None:
    rows, target = load_wine(return_X_y=True)
    model = BaggingClassifier(DecisionTreeClassifier(max_depth=3), 25, random_state=0, **options)
    assert_same(model.fit(rows, NAMES[target]), rows.astype(dtype), rtol=1e-7, atol=0)


def test_bagged_classifiers_that_never_saw_a_class_give_it_nothing() -> None:
    rows, target = load_wine(return_X_y=True)
    rare = np.flatnonzero((target < 2) | (np.arange(len(rows)) > 172))
    model = BaggingClassifier(LinearDiscriminantAnalysis(), 12, max_samples=40, random_state=1)
    model.fit(rows[rare], NAMES[target[rare]])
    assert {len(part.classes_) for part in model.estimators_} == {2, 3}
    assert_same(model, rows)


@pytest.mark.parametrize("base", [make_pipeline(StandardScaler(), LogisticRegression()), RidgeClassifier()])
def test_bagging_takes_any_classifier(base: Any) -> None:
    """RidgeClassifier has no probabilities: it votes."""
    rows, target = load_wine(return_X_y=True)
    assert_same(BaggingClassifier(base, 7, max_features=0.6, random_state=0).fit(rows, target), rows)


@DTYPES
def test_bagged_regressions(dtype: str) -> None:
    rows, target = load_diabetes(return_X_y=True)
    trees = BaggingRegressor(n_estimators=20, max_features=0.5, random_state=0).fit(rows, target)
    assert_same(trees, rows.astype(dtype))
    lines = BaggingRegressor(LinearRegression(), 5, max_features=0.5, random_state=0).fit(rows, target)
    assert_same(lines, rows.astype(dtype), rtol=1e-5)


@pytest.mark.parametrize("base", [DecisionTreeRegressor(), LinearRegression()])
def test_bagged_regressions_of_several_targets(base: Any) -> None:
    rows, target = load_linnerud(return_X_y=True)
    assert_same(BaggingRegressor(base, 5, random_state=0).fit(rows, target), rows)


@DTYPES
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("base", [None, ExtraTreeClassifier(max_depth=2, random_state=0), GaussianNB()])
def test_ada_boost_classifies_alike(base: Any, classes: int, dtype: str) -> None:
    rows, target = load_wine(return_X_y=True)
    model = AdaBoostClassifier(base, n_estimators=20, random_state=0)
    model.fit(rows, NAMES[np.minimum(target, classes - 1)])
    near = around(rows, model.estimators_) if base is None else rows
    assert_same(model, near.astype(dtype), rtol=1e-6, atol=1e-7)


@DTYPES
@pytest.mark.parametrize("base", [None, LinearRegression()])
@pytest.mark.parametrize("loss", ["linear", "exponential"])
def test_ada_boost_takes_the_weighted_median(base: Any, loss: str, dtype: str) -> None:
    rows, target = load_diabetes(return_X_y=True)
    model = AdaBoostRegressor(base, n_estimators=20, loss=loss, random_state=0).fit(rows, target)
    assert_same(model, rows.astype(dtype), rtol=1e-5)


@pytest.mark.parametrize("opset", [20, 26])
def test_bagging_and_ada_boost_work_at_every_opset(opset: int) -> None:
    rows, target = load_diabetes(return_X_y=True)
    assert_same(AdaBoostRegressor(n_estimators=10, random_state=0).fit(rows, target), rows, opset=opset)
    named = NAMES[(target > 150).astype(int)]
    assert_same(AdaBoostClassifier(GaussianNB(), n_estimators=5).fit(rows, named), rows, opset=opset)
