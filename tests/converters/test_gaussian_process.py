"""Gaussian processes, kernel ridge, label propagation, partial least squares, the elliptic envelope."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.special import erf as reference_erf
from sklearn.covariance import EllipticEnvelope
from sklearn.cross_decomposition import CCA, PLSCanonical, PLSRegression
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process import kernels as k
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from mlpack_edge.converters.onnx_from_sklearn.gaussian_process import erf
from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.converters.tensor import tensor
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.fitted import DTYPES, assert_right, data, probes
from tests.converters.sklearn_parity import assert_same

KERNELS = [
    k.RBF(2.0), k.RBF([1.0, 2.0, 3.0, 4.0]), k.Matern(2.0, nu=0.5), k.Matern(2.0, nu=1.5), k.Matern(2.0, nu=2.5),
    k.Matern(2.0, nu=np.inf), k.RationalQuadratic(), k.ExpSineSquared(2.0, 5.0), k.DotProduct(),
    2.0 * k.RBF() + k.WhiteKernel(0.1), k.RBF() * k.DotProduct() ** 2 + k.ConstantKernel(0.5),
]  # fmt: skip


def fitted(estimator: Any, x: Any, y: Any) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the optimiser's own
        return estimator.fit(x, y)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_regressor_by_kernel(kernel: Any) -> None:
    x, y = data("iris")
    estimator = GaussianProcessRegressor(
        kernel, alpha=100.0 if isinstance(kernel, k.ExpSineSquared) else 1e-2, optimizer=None, normalize_y=True
    )
    assert_same(fitted(estimator, x, y + x[:, 0]), probes(x, extreme=False), 1e-6, 1e-6)


def test_regressor_of_two_targets_and_by_default() -> None:
    x, y = data("iris")
    two = fitted(GaussianProcessRegressor(alpha=0.1, normalize_y=True), x, np.stack([y, x[:, 0]], 1))
    assert_same(two, probes(x), 1e-6, 1e-6)
    assert_same(fitted(GaussianProcessRegressor(alpha=0.1), x.astype(np.float32), y), x.astype(np.float32), 1e-5, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ["one_vs_rest", "one_vs_one"])
def test_classifier_of_three_classes(shape: str, dtype: str) -> None:
    x, y = data("iris", dtype)
    estimator = GaussianProcessClassifier(1.0 * k.RBF(1.0), multi_class=shape)
    assert_same(fitted(estimator, x[::2], y[::2]), probes(x), 1e-5, 1e-6)


def test_classifier_of_two_classes() -> None:
    x, y = data("iris")
    estimator = GaussianProcessClassifier(1.0 * k.Matern(1.0, nu=1.5), optimizer=None)
    assert_same(fitted(estimator, x[50:], np.where(y[50:] == 1, "no", "yes")), probes(x[50:]), 1e-6, 1e-9)


def test_a_kernel_without_a_converter_is_refused() -> None:
    x, y = data("iris")
    for kernel in (k.Matern(nu=0.7), k.PairwiseKernel()):
        estimator = fitted(GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None), x, y)
        with pytest.raises(Unsupported, match="GaussianProcessRegressor"):
            assert_same(estimator, x)


def test_error_function_to_the_last_digits() -> None:
    x = np.concatenate([np.linspace(-9, 9, 4001), np.logspace(-300, 1, 500), [0.46875, 4.0, 0.0, np.inf, -np.inf]])
    graph = Graph()
    made = erf(tensor(graph, Value("x", "float64", 1)))
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 1]) for name in ("x", made.name)]
    session = open_session(graph.model(ends[:1], ends[1:]).SerializeToString())
    (given,) = run(session, {"x": x.reshape(-1, 1)}).values()
    np.testing.assert_allclose(given.ravel(), reference_erf(x), rtol=1e-15, atol=1e-300)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "estimator",
    [KernelRidge(), KernelRidge(kernel="rbf", gamma=0.01), KernelRidge(kernel="poly", degree=2, gamma=0.1),
     KernelRidge(kernel="laplacian", gamma=0.1), KernelRidge(kernel="cosine"), KernelRidge(kernel="sigmoid", gamma=0.01)],
    ids=str,
)  # fmt: skip
def test_kernel_ridge(estimator: Any, dtype: str) -> None:
    loose = 1e-3 if dtype == "float32" else 1e-7
    assert_right(estimator, "diabetes", dtype, extreme=False, rtol=loose, atol=loose)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "estimator",
    [LabelPropagation(gamma=1.0), LabelSpreading(gamma=1.0), LabelPropagation("knn"), LabelSpreading("knn")],
    ids=str,
)
def test_labels_that_spread(estimator: Any, dtype: str) -> None:
    x, y = data("iris", dtype)
    some = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    rng = np.random.default_rng(0)
    x = (x + rng.normal(0, 0.01, x.shape)).astype(dtype)  # tenths tie, and ties are broken by chance
    assert_same(fitted(estimator, x, some), probes(x, extreme=False), 1e-4, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", [PLSRegression(2), PLSCanonical(2), CCA(2)], ids=str)
def test_partial_least_squares_predicts_and_transforms(estimator: Any, dtype: str) -> None:
    """At the end it predicts the targets, before another step it gives its scores."""
    x, y = data("diabetes", dtype)
    targets = np.stack([y, x[:, 0] + x[:, 1]], axis=1)
    loose = 1e-4 if dtype == "float32" else 1e-7
    assert_same(fitted(estimator, x, targets), probes(x), loose, loose)
    union = FeatureUnion([("scores", StandardScaler())]).fit(x)
    union.transformer_list = [("scores", fitted(estimator, x, targets))]
    assert_same(union, probes(x), loose, loose)
    if isinstance(estimator, PLSRegression):
        assert_same(fitted(estimator, x, y), probes(x), loose, loose)


@pytest.mark.parametrize("dtype", DTYPES)
def test_elliptic_envelope(dtype: str) -> None:
    x, _ = data("iris", dtype)
    assert_same(EllipticEnvelope(random_state=0).fit(x), probes(x), 1e-5, 1e-5)
