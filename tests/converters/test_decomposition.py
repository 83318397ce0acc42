"""Projections and kernel maps give what scikit-learn gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import FeatureAgglomeration
from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import (
    PCA,
    FactorAnalysis,
    FastICA,
    IncrementalPCA,
    KernelPCA,
    MiniBatchSparsePCA,
    SparsePCA,
    TruncatedSVD,
)
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KernelCenterer, StandardScaler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from mlpack_edge.core.errors import Unsupported
from tests.converters.sklearn_parity import assert_same

X, Y = load_wine(return_X_y=True)
SCALED = StandardScaler().fit_transform(X)
DTYPES = ["float32", "float64"]

PROJECTIONS = [
    PCA(3), PCA(3, whiten=True), IncrementalPCA(3), TruncatedSVD(3), FactorAnalysis(3), FastICA(3, random_state=0),
    FastICA(whiten=False, random_state=0, max_iter=2000, tol=0.1), SparsePCA(3, random_state=0, max_iter=20),
    MiniBatchSparsePCA(3, random_state=0), GaussianRandomProjection(4, random_state=0),
    SparseRandomProjection(4, random_state=0), RBFSampler(random_state=0), RBFSampler(gamma="scale", random_state=0),
    BernoulliRBM(5, random_state=0, n_iter=3), FeatureAgglomeration(4), FeatureAgglomeration(3, pooling_func=np.max),
    NeighborhoodComponentsAnalysis(2, max_iter=5, random_state=0),
    PolynomialCountSketch(n_components=32, random_state=0), PolynomialCountSketch(gamma=0.5, degree=3, coef0=1, n_components=33, random_state=0),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("fitted", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("model", PROJECTIONS, ids=lambda m: f"{type(m).__name__}-{len(str(m))}")
def test_projection(model: Any, dtype: str, fitted: str) -> None:
    model.fit(SCALED.astype(fitted), Y)
    exact = dtype == "float64" and not (fitted == "float32" and "SparsePCA" in str(model))  # it solves in float32 then
    assert_same(model, SCALED.astype(dtype), rtol=1e-10 if exact else 2e-5, atol=1e-11 if exact else 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_pca_of_raw_features(dtype: str) -> None:
    """Raw features reach 1680 beside 0.1: projected before they are centred, as the library does."""
    rows = X.astype(dtype)
    assert_same(
        PCA(5).fit(rows), rows, rtol=1e-9 if dtype == "float64" else 1e-5, atol=1e-9 if dtype == "float64" else 2e-3
    )


KERNEL_MODELS = [
    {"kernel": "rbf"}, {"kernel": "rbf", "gamma": 0.1}, {"kernel": "poly", "degree": 2, "coef0": 0.5},
    {"kernel": "sigmoid", "gamma": 0.01}, {"kernel": "linear"}, {"kernel": "cosine"}, {"kernel": "laplacian"}, {"kernel": "chi2"},
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parameters", KERNEL_MODELS, ids=str)
def test_nystroem(parameters: dict[str, Any], dtype: str) -> None:
    rows = (np.abs(SCALED) if parameters["kernel"] == "chi2" else SCALED).astype(dtype)
    model = Nystroem(n_components=20, random_state=0, **parameters).fit(rows)
    assert_same(model, rows, rtol=1e-8 if dtype == "float64" else 1e-4, atol=1e-7 if dtype == "float64" else 2e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid", "cosine"])
def test_kernel_pca(kernel: str, dtype: str) -> None:
    rows = SCALED.astype(dtype)
    model = KernelPCA(4, kernel=kernel).fit(rows)
    assert_same(model, rows, rtol=1e-9 if dtype == "float64" else 1e-4, atol=1e-10 if dtype == "float64" else 1e-4)


def test_a_kernel_matrix_is_centred() -> None:
    rows = SCALED @ SCALED.T
    assert_same(KernelCenterer().fit(rows), rows, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("model", [Nystroem(kernel=lambda a, b: float(a @ b)), KernelPCA(kernel="precomputed")])
def test_kernels_without_a_formula_are_refused(model: Any) -> None:
    model.fit(SCALED @ SCALED.T)
    with pytest.raises(Unsupported) as fault:
        assert_same(model, SCALED @ SCALED.T)
    assert "kernel=" in fault.value.why


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "model",
    [AdditiveChi2Sampler(), AdditiveChi2Sampler(sample_steps=3), AdditiveChi2Sampler(sample_interval=0.3), AdditiveChi2Sampler(sample_steps=1), SkewedChi2Sampler(random_state=0)],
    ids=str,
)  # fmt: skip
def test_chi_squared_maps_of_pixels_with_zeros(model: Any, dtype: str) -> None:
    rows = load_digits().data[:300].astype(dtype)
    assert_same(
        model.fit(rows), rows, rtol=1e-11 if dtype == "float64" else 2e-6, atol=1e-11 if dtype == "float64" else 1e-5
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "model",
    [PLSSVD(2), PLSRegression(2), PLSCanonical(2), CCA(2), LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(solver="eigen")],
    ids=str,
)  # fmt: skip
def test_supervised_projection_before_a_regression(model: Any, dtype: str) -> None:
    """What can predict, too, transforms where another step follows."""
    rows = SCALED.astype(dtype)
    model.fit(rows, Y if "Discriminant" in str(model) else np.eye(3)[Y][:, :2])
    last = LinearRegression().fit(model.transform(rows), X[:, 0])
    pipeline = Pipeline([("project", model), ("regress", last)])
    assert_same(pipeline, rows, rtol=1e-9 if dtype == "float64" else 1e-5, atol=1e-10 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
def test_selectors_keep_columns_in_their_dtype(dtype: str) -> None:
    rows = (X * 10 if dtype == "int64" else SCALED).astype(dtype)
    for model in (
        SelectKBest(k=4),
        VarianceThreshold(0.5),
        SelectFromModel(Ridge()),
        RFE(Ridge(), n_features_to_select=3),
    ):
        pipeline = make_pipeline(model, SelectKBest(k=2)).fit(rows, Y)
        made = assert_same(pipeline, rows, rtol=0, atol=0)
        assert made.graph.output[0].type.tensor_type.elem_type == made.graph.input[0].type.tensor_type.elem_type
