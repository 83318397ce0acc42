"""Naive Bayes, discriminant analysis, dummies and perceptrons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import naive_bayes as nb
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

from mlpack_edge.core.errors import Unsupported
from tests.converters.fitted import DTYPES, assert_right, data
from tests.converters.sklearn_parity import assert_same


@pytest.mark.parametrize("dtype", DTYPES)
def test_gaussian(dtype: str) -> None:
    assert_right(nb.GaussianNB(), "wine", dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "estimator",
    [nb.MultinomialNB(), nb.ComplementNB(), nb.ComplementNB(norm=True), nb.BernoulliNB(binarize=3.1),
     nb.BernoulliNB(binarize=np.float64(3.1))],
    ids=str,
)  # fmt: skip
def test_counts_and_flags(estimator: Any, dtype: str) -> None:
    """3.1 is no float32: iris has rows that are just that, and a Python number is compared in the rows' dtype."""
    x, y = data("iris", dtype)
    rtol = 1e-4 if dtype == "float32" else 1e-6
    assert_same(estimator.fit(x, y), np.concatenate([x, x[:10] * dtype_of(x)(1e3)]), rtol)


def dtype_of(x: Any) -> Any:
    return x.dtype.type


@pytest.mark.parametrize("dtype", DTYPES)
def test_categories(dtype: str) -> None:
    x, y = data("iris", dtype)
    assert_same(nb.CategoricalNB().fit(x, y), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["cancer", "wine"])
@pytest.mark.parametrize(
    "estimator",
    [LinearDiscriminantAnalysis(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
     QuadraticDiscriminantAnalysis(reg_param=0.1)],
    ids=str,
)  # fmt: skip
def test_discriminants(estimator: Any, name: str, dtype: str) -> None:
    assert_right(estimator, name, dtype, rtol=1e-4 if dtype == "float32" else 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strategy", ["prior", "most_frequent", "constant"])
def test_dummy_classifier(strategy: str, dtype: str) -> None:
    names = np.array(["a", "ß", "c"])
    for labels in (lambda _, y: y + 5, lambda _, y: names[y]):
        constant = labels(None, np.array([1]))[0] if strategy == "constant" else None
        assert_right(DummyClassifier(strategy=strategy, constant=constant), "wine", dtype, target=labels)


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_chance_is_refused(strategy: str) -> None:
    with pytest.raises(Unsupported) as caught:
        assert_right(DummyClassifier(strategy=strategy), "wine", "float64")
    assert "random" in caught.value.why


def test_dummy_regressor() -> None:
    assert_right(DummyRegressor(strategy="quantile", quantile=0.3), "diabetes", "float64")
    assert_right(DummyRegressor(), "diabetes", "float64", target=lambda x, y: np.stack([y, -y], 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_perceptrons(activation: str, dtype: str) -> None:
    shared = {"activation": activation, "max_iter": 15, "random_state": 0, "hidden_layer_sizes": (8, 5)}
    loose = 1e-4 if dtype == "float32" else 1e-6
    for name in ("cancer", "wine"):
        assert_right(MLPClassifier(**shared), name, dtype, rtol=loose, atol=loose)
    assert_right(MLPRegressor(**shared), "diabetes", dtype, rtol=loose, atol=loose)
    assert_right(MLPRegressor(**shared), "diabetes", "float64", target=lambda x, y: np.stack([y, -y], 1))


def test_perceptron_of_several_labels_a_row() -> None:
    estimator = MLPClassifier((6,), max_iter=15, random_state=0)
    assert_right(estimator, "wine", "float64", target=lambda _, y: np.eye(3, dtype=int)[y], rtol=1e-6)
