"""Support vector machines: kernels, votes, ties, scores and coupled probabilities."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from mlpack_edge.core.errors import Unsupported
from tests.converters.fitted import DTYPES, assert_right, data, probes
from tests.converters.sklearn_parity import assert_same


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["cancer", "wine"])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid"])
def test_classifier_by_kernel(kernel: str, name: str, dtype: str) -> None:
    """A polynomial of 1e9 reaches 1e27 and more; its sign is what counts."""
    estimator = SVC(kernel=kernel, coef0=0.5, max_iter=2000)
    assert_right(estimator, name, dtype, extreme=kernel != "poly", rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        SVC(decision_function_shape="ovo"),
        SVC(break_ties=True),
        NuSVC(nu=0.2),
        NuSVC(nu=0.2, decision_function_shape="ovo"),
    ],
    ids=str,
)
def test_shapes_of_the_decision(estimator: Any) -> None:
    for dtype in DTYPES:
        assert_right(estimator, "iris", dtype, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cancer", "iris", "wine"])
def test_coupled_probabilities_stop_where_libsvm_stops(name: str) -> None:
    x, y = data(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # scikit-learn will drop `probability`
        estimator = SVC(probability=True, random_state=0).fit(x, y)
        assert_same(estimator, probes(x), 1e-6, 1e-9)


def test_probabilities_of_ten_classes() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 30)
    x = rng.normal(size=(300, 6)) + np.eye(10)[y][:, :6] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        assert_same(SVC(probability=True, random_state=0).fit(x, y), x, 1e-6, 1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", [SVR(), SVR(kernel="linear"), NuSVR(), SVR(kernel="poly", degree=2)], ids=str)
def test_regressors(estimator: Any, dtype: str) -> None:
    assert_right(estimator, "diabetes", dtype, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_class(dtype: str) -> None:
    x, _ = data("wine", dtype)
    assert_same(OneClassSVM(nu=0.1).fit(x), probes(x), 1e-5, 1e-5)


def test_large_offsets_and_a_narrow_kernel() -> None:
    """Differences, not the matrix product: the rows are 1e9 apart in two heaps of width 1."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(80, 2)), rng.normal(size=(80, 2)) + 1e9])
    estimator = SVC(gamma=1.0).fit(x, (x[:, 0] - np.round(x[:, 0], -9) > 0).astype(int))
    assert_same(estimator, x, 1e-6, 1e-7)


@pytest.mark.parametrize("kernel", ["precomputed", lambda a, b: a @ b.T], ids=["precomputed", "function"])
def test_a_kernel_of_ones_own_is_refused(kernel: Any) -> None:
    x, y = data("iris")
    estimator = SVC(kernel=kernel).fit(x @ x.T if kernel == "precomputed" else x, y)
    with pytest.raises(Unsupported, match="SVC"):
        assert_same(estimator, x @ x.T if kernel == "precomputed" else x)
