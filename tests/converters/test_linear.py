"""Linear models give what scikit-learn gives, as regressors, classifiers and outlier detectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import linear_model as lm
from sklearn.multioutput import MultiOutputClassifier
from sklearn.svm import LinearSVC, LinearSVR

from mlpack_edge.core.errors import Unsupported
from tests.converters.fitted import DTYPES, assert_right, data
from tests.converters.sklearn_parity import assert_same

REGRESSORS = [
    lm.LinearRegression(), lm.Ridge(), lm.RidgeCV(), lm.Lasso(0.1), lm.LassoCV(cv=3), lm.ElasticNet(0.1), lm.Lars(),
    lm.LassoLars(0.1), lm.LassoLarsIC(), lm.OrthogonalMatchingPursuit(), lm.BayesianRidge(), lm.ARDRegression(),
    lm.HuberRegressor(), lm.QuantileRegressor(), lm.TheilSenRegressor(random_state=0, max_subpopulation=200),
    lm.SGDRegressor(random_state=0), lm.PoissonRegressor(), lm.GammaRegressor(), lm.TweedieRegressor(power=1.5),
    lm.TweedieRegressor(power=0), lm.TweedieRegressor(power=1, link="identity"), LinearSVR(random_state=0),
    lm.RANSACRegressor(random_state=0), lm.LinearRegression(fit_intercept=False),
]  # fmt: skip
CLASSIFIERS = [
    lm.LogisticRegression(), lm.LogisticRegression(solver="saga", max_iter=50), lm.LogisticRegressionCV(cv=3),
    lm.SGDClassifier(random_state=0), lm.SGDClassifier(loss="log_loss", random_state=0),
    lm.SGDClassifier(loss="modified_huber", random_state=0), lm.Perceptron(), lm.RidgeClassifier(),
    lm.RidgeClassifierCV(), LinearSVC(random_state=0),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", REGRESSORS, ids=str)
def test_regressors(estimator: Any, dtype: str) -> None:
    exponential = "link" in estimator.get_params() or isinstance(estimator, (lm.PoissonRegressor, lm.GammaRegressor))
    assert_right(estimator, "diabetes", dtype, extreme=not exponential)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["cancer", "wine"])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
def test_classifiers_of_two_and_three_classes(estimator: Any, name: str, dtype: str) -> None:
    assert_right(estimator, name, dtype, rtol=1e-4 if dtype == "float32" else 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_targets_stay_a_matrix(dtype: str) -> None:
    for estimator in (lm.MultiTaskLasso(0.1), lm.LinearRegression(), lm.MultiTaskElasticNet(0.1)):
        assert_right(estimator, "diabetes", dtype, target=lambda x, y: np.stack([y, y + x[:, 0]], axis=1))


def test_one_target_as_a_matrix_stays_a_matrix() -> None:
    assert_right(lm.Ridge(), "diabetes", "float64", target=lambda _, y: y[:, None])


def test_text_labels() -> None:
    names = np.array(["setosa", "versicolor", "virginica"])
    assert_right(lm.LogisticRegression(), "iris", "float64", target=lambda _, y: names[y])


def test_several_labels_a_row() -> None:
    assert_right(lm.RidgeClassifier(), "wine", "float64", target=lambda _, y: np.eye(3, dtype=int)[y])


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_class(dtype: str) -> None:
    assert_right(lm.SGDOneClassSVM(random_state=0), "wine", dtype)


def test_sparsified_weights() -> None:
    x, y = data("cancer")
    estimator = lm.SGDClassifier(penalty="l1", random_state=0).fit(x, y).sparsify()
    assert_same(estimator, x)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 6), classes=st.integers(2, 4))
def test_any_weights_give_the_class_of_the_highest_score(seed: int, width: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    estimator = lm.LogisticRegression()
    estimator.coef_ = rng.normal(size=(1 if classes == 2 else classes, width))
    estimator.intercept_ = rng.normal(size=len(estimator.coef_))
    estimator.classes_, estimator.n_features_in_ = np.arange(classes) * 3 - 1, width
    assert_same(estimator, rng.normal(size=(20, width)) * 10.0 ** rng.integers(-3, 9))


def test_a_step_without_a_converter_is_named() -> None:
    class Foreign(lm.LogisticRegression):
        """A subclass may predict otherwise, so it is not taken for its parent."""

    x, y = data("iris")
    with pytest.raises(Unsupported) as caught:
        assert_right(MultiOutputClassifier(Foreign()), "iris", "float64", target=lambda _, y: np.stack([y, y], 1))
    assert "Foreign" in caught.value.message
    assert len(x) == len(y)
