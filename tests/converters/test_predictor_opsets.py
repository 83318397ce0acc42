"""Predictors at the opsets a user may ask for, on whole numbers, and on data frames with a column an input."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.fitted import data
from tests.converters.sklearn_parity import assert_same, signature_of_matrix

PREDICTORS = [
    LogisticRegression(max_iter=1000), GaussianNB(), KNeighborsClassifier(weights="distance"), SVC(probability=True),
    CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=3), GaussianProcessClassifier(),
    MLPClassifier((5,), max_iter=20), KMeans(3, n_init=1, random_state=0), GaussianMixture(2, random_state=0),
    OneVsRestClassifier(GaussianNB()),
]  # fmt: skip


def fitted(estimator: Any, x: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # convergence, and what scikit-learn will drop
        return estimator.fit(x, y)


@pytest.mark.parametrize("opset", [20, 23, 26])
@pytest.mark.parametrize("estimator", PREDICTORS, ids=lambda estimator: type(estimator).__name__)
def test_every_opset(estimator: Any, opset: int) -> None:
    x, y = data("iris")
    assert_same(fitted(estimator, x[::3], y[::3]), x, 1e-5, 1e-6, opset=opset)


@pytest.mark.parametrize("estimator", PREDICTORS, ids=lambda estimator: type(estimator).__name__)
def test_whole_numbers(estimator: Any) -> None:
    x, y = data("iris")
    whole = np.round(x * 10).astype(np.int64)
    # Whole numbers tie, and near ties of isotonic calibration magnify a rounding.
    assert_same(fitted(estimator, (whole[::3] + 1), y[::3]), whole[:20] * 7 + 1, 1e-4, 1e-4)


@pytest.mark.parametrize("estimator", PREDICTORS, ids=lambda estimator: type(estimator).__name__)
def test_a_column_an_input(estimator: Any) -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    assert_same(fitted(estimator, x[::3], y[::3]), x, 1e-5, 1e-6)


@pytest.mark.parametrize("estimator", PREDICTORS, ids=lambda estimator: type(estimator).__name__)
def test_the_same_model_gives_the_same_bytes(estimator: Any) -> None:
    x, y = data("iris")
    model = fitted(estimator, x[::3], y[::3])
    first, second = (onnx_from_sklearn(model, signature_of_matrix(4, "float32")).model for _ in range(2))
    assert first.SerializeToString() == second.SerializeToString()


def test_a_row_alone_is_the_row_among_others() -> None:
    x, y = data("wine")
    model = fitted(SVC(probability=True, random_state=0), x, y)
    session = open_session(onnx_from_sklearn(model, signature_of_matrix(13, "float64")).model.SerializeToString())
    together = run(session, {"X": x})["probabilities"]
    alone = np.concatenate([run(session, {"X": x[index : index + 1]})["probabilities"] for index in range(len(x))])
    np.testing.assert_allclose(alone, together, rtol=1e-9, atol=1e-12)
