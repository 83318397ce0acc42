"""Clusterers and mixtures: a label at the end of a model, distances to the centers before another step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import cluster
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from mlpack_edge.core.errors import Unsupported
from tests.converters.fitted import DTYPES, assert_right, data, probes
from tests.converters.sklearn_parity import assert_same

CENTERED = [
    cluster.KMeans(4, random_state=0, n_init=2), cluster.MiniBatchKMeans(4, random_state=0, n_init=2),
    cluster.BisectingKMeans(5, random_state=0), cluster.Birch(n_clusters=3, threshold=10.0),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "estimator", [*CENTERED, cluster.MeanShift(), cluster.AffinityPropagation(max_iter=50)], ids=str
)
def test_labels(estimator: Any, dtype: str) -> None:
    assert_right(estimator, "wine", dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", CENTERED, ids=str)
def test_distances_before_another_step(estimator: Any, dtype: str) -> None:
    """As the last step a clusterer predicts, as an inner one it transforms: pipelines and unions ask for that."""
    x, y = data("wine", dtype)
    rows = probes(x, extreme=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = make_pipeline(StandardScaler(), estimator, LogisticRegression(max_iter=500)).fit(x, y)
        assert_same(before, rows, 1e-4, 1e-5)
        # A row that is a center is at a distance of 0, or of the root of a rounding.
        union = FeatureUnion([("clusters", estimator), ("scaled", StandardScaler())]).fit(x, y)
        assert_same(union, rows, 1e-4, 1e-3 if dtype == "float32" else 1e-4)


def test_affinity_propagation_that_did_not_converge() -> None:
    x, _ = data("iris")
    with pytest.warns(Warning, match="not converge"):
        estimator = cluster.AffinityPropagation(max_iter=1).fit(x)
    with pytest.warns(Warning, match="cluster centers"):
        assert_same(estimator, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
def test_mixtures(kind: Any, covariance: str, dtype: str) -> None:
    """Behind a scaler, where float32 keeps enough of the log densities for their differences."""
    x, _ = data("wine", dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = kind(n_components=3, covariance_type=covariance, random_state=0, max_iter=20, reg_covar=1e-3)
        fitted = make_pipeline(StandardScaler(), mixture).fit(x)
    loose = 1e-4 if dtype == "float32" else 1e-7
    assert_same(fitted, probes(x, extreme=False), loose, loose)


def test_mixture_at_extreme_magnitudes() -> None:
    x, _ = data("wine")
    mixture = GaussianMixture(3, random_state=0).fit(x)
    assert_same(mixture, probes(x), 1e-5, 1e-6)


def test_mixture_of_dirichlet_weights() -> None:
    x, _ = data("iris")
    kind = "dirichlet_distribution"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = BayesianGaussianMixture(n_components=3, weight_concentration_prior_type=kind, random_state=0).fit(x)
    assert_same(mixture, x)


@pytest.mark.parametrize("estimator", [cluster.DBSCAN(), cluster.AgglomerativeClustering(), cluster.OPTICS()], ids=str)
def test_what_does_not_predict_is_refused_by_name(estimator: Any) -> None:
    x, _ = data("iris")
    with warnings.catch_warnings(), pytest.raises(Unsupported) as caught:
        warnings.simplefilter("ignore")
        assert_same(estimator.fit(x), x)
    assert type(estimator).__name__ in caught.value.message
    assert "neither predicts" in caught.value.why


def test_a_mixture_before_another_step_is_refused() -> None:
    """It has no `transform`."""
    x, _ = data("iris")
    union = FeatureUnion([("scaled", StandardScaler())]).fit(x)
    union.transformer_list = [("mixture", GaussianMixture(2).fit(x))]
    with pytest.raises(Unsupported) as caught:
        assert_same(union, x)
    assert caught.value.data["path"] == "model.transformer_list[0]"
    assert np.isfinite(x).all()
