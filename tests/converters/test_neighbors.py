"""Nearest neighbours: weights, metrics, exact matches, ties and magnitudes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestCentroid,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
)

from mlpack_edge.core.errors import Unsupported
from tests.converters.fitted import DTYPES, assert_right, data, probes
from tests.converters.sklearn_parity import assert_same

METRICS = [
    {"metric": "euclidean"}, {"metric": "manhattan"}, {"metric": "chebyshev"}, {"p": 3}, {"p": 1}, {"p": 1.5},
    {"metric": "cosine", "algorithm": "brute"}, {"metric": "l1", "algorithm": "brute"},
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree", "brute"])
def test_classifier_by_weights_and_algorithm(algorithm: str, weights: str, dtype: str) -> None:
    """Every second fitted row is among the rows: with weights by distance an exact match decides alone."""
    estimator = KNeighborsClassifier(algorithm=algorithm, weights=weights)
    assert_right(estimator, "iris", dtype, extreme=algorithm != "brute", atol=1e-6)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("parameters", METRICS, ids=str)
def test_metrics(parameters: dict[str, Any], weights: str) -> None:
    """Fitted rows, fresh ones and rows far away; on drawn numbers no two distances are equal."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5))
    estimator = KNeighborsRegressor(4, weights=weights, **parameters).fit(x, x[:, 0] * x[:, 1])
    rows = np.concatenate([x[:50], rng.normal(size=(100, 5)), rng.normal(size=(20, 5)) * 1e3])
    assert_same(estimator, rows, 1e-6, 1e-7)
    assert_same(estimator, rows[50:].astype(np.float32), 1e-5, 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", ["kd_tree", "brute"])
def test_regressor_of_one_and_two_targets(algorithm: str, dtype: str) -> None:
    for weights in ("uniform", "distance"):
        estimator = KNeighborsRegressor(3, algorithm=algorithm, weights=weights)
        assert_right(estimator, "diabetes", dtype, extreme=algorithm != "brute", rtol=1e-5)
        assert_right(
            estimator, "diabetes", dtype, extreme=False, rtol=1e-5, target=lambda x, y: np.stack([y, x[:, 0]], 1)
        )


def test_several_labels_a_row() -> None:
    assert_right(KNeighborsClassifier(), "iris", "float64", target=lambda x, y: np.stack([y, (x[:, 0] > 5.5)], 1))


def test_text_labels() -> None:
    names = np.array(["a", "é", "ж"])
    assert_right(KNeighborsClassifier(weights="distance"), "iris", "float64", target=lambda _, y: names[y])


def test_small_distances_between_large_numbers() -> None:
    """Epoch seconds: the matrix-product road to distances would lose them; the tree of scikit-learn does not."""
    rng = np.random.default_rng(0)
    x = 1.7e9 + rng.random((200, 2))
    y = (x[:, 0] - 1.7e9 > 0.5).astype(int)
    estimator = KNeighborsClassifier(3, weights="distance", algorithm="kd_tree").fit(x, y)
    assert_same(estimator, np.concatenate([x[:50], 1.7e9 + rng.random((50, 2))]))


def test_many_equal_distances_of_whole_numbers() -> None:
    """Pixels: ties are frequent; scikit-learn's brute force computes whole numbers exactly, as we do."""
    x, y = load_digits(return_X_y=True)
    estimator = KNeighborsClassifier(1).fit(x[:600], y[:600])
    assert_same(estimator, x[600:1000])


def test_duplicates_that_match_exactly_share_the_vote() -> None:
    x = np.array([[0.0], [0.0], [0.0], [1.0], [2.0]])
    y = np.array([0, 1, 1, 2, 2])
    estimator = KNeighborsClassifier(4, weights="distance").fit(x, y)
    assert_same(estimator, np.array([[0.0], [1.0], [0.5], [3.0]]))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("algorithm", ["kd_tree", "brute"])
def test_by_radius(algorithm: str, weights: str) -> None:
    x, y = data("iris")
    rows = probes(x, extreme=False)
    rows = rows[[np.linalg.norm(x - row, axis=1).min() < 0.9 for row in rows]]
    # Iris is measured in tenths: rows lie on a radius of 1 exactly, where brute force decides by its rounding.
    radius = 1.0 if algorithm == "kd_tree" else 0.987
    classifier = RadiusNeighborsClassifier(radius, algorithm=algorithm, weights=weights).fit(x, y)
    assert_same(classifier, rows)
    regressor = RadiusNeighborsRegressor(radius, algorithm=algorithm, weights=weights).fit(x, x[:, 0])
    assert_same(regressor, rows)


def test_rows_beyond_the_radius() -> None:
    """An outlier label that is a class gets all the probability; a regressor gives NaN."""
    x, y = data("iris")
    far = np.concatenate([x[:5], x[:5] + 1e9])
    assert_same(RadiusNeighborsClassifier(1.0, algorithm="kd_tree", outlier_label=2).fit(x, y), far)
    with pytest.warns(UserWarning, match="no neighbors"):
        assert_same(RadiusNeighborsRegressor(1.0).fit(x, x[:, 0]), far)


def test_on_the_radius() -> None:
    """A fitted row at exactly the radius counts as inside."""
    x = np.array([[0.0], [1.0], [2.0], [5.0]])
    estimator = RadiusNeighborsRegressor(1.0, algorithm="kd_tree").fit(x, np.array([1.0, 2.0, 4.0, 8.0]))
    assert_same(estimator, np.array([[1.0], [3.0], [4.0], [0.0]]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_local_outliers(dtype: str) -> None:
    x, _ = data("wine", dtype)
    assert_same(LocalOutlierFactor(novelty=True).fit(x), probes(x), 1e-5, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "estimator",
    [NearestCentroid(), NearestCentroid(metric="manhattan"), NearestCentroid(priors="empirical"),
     NearestCentroid(shrink_threshold=0.3)],
    ids=str,
)  # fmt: skip
def test_nearest_centroid(estimator: Any, dtype: str) -> None:
    assert_right(estimator, "wine", dtype, rtol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (KNeighborsClassifier(weights=lambda d: d), "weights"),
        (KNeighborsClassifier(metric=lambda a, b: abs(a - b).sum()), "metric"),
        (KNeighborsClassifier(metric="canberra"), "metric"),
        (KNeighborsClassifier(metric="minkowski", p=3, metric_params={"w": [1.0, 2.0, 1.0, 1.0]}), "weights"),
        (RadiusNeighborsClassifier(algorithm="brute", outlier_label=1), "outlier_label"),
    ],
    ids=["weights", "metric", "canberra", "feature weights", "outlier label"],
)
def test_refused(estimator: Any, why: str) -> None:
    x, y = data("iris")
    with pytest.raises(Unsupported) as caught:
        assert_same(estimator.fit(x, y), x)
    assert why in caught.value.why
    assert type(estimator).__name__ in caught.value.message
