"""Metrics in any batches are scikit-learn's on all rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as theirs

from mlpack_edge.converters.quantization.judging.metrics import METRICS, drop
from mlpack_edge.core.errors import BadInput

Array = NDArray[Any]
seeds = st.integers(0, 2**32 - 1)
cuts = st.lists(st.integers(1, 80), max_size=4)


def streamed(name: str, truth: Array, answer: Array, places: list[int]) -> float:
    metric = METRICS[name]()
    for one, other in zip(np.split(truth, sorted(places)), np.split(answer, sorted(places)), strict=True):
        if len(one):
            metric.add(one, other)
    return metric.value()


@settings(deadline=None)
@given(seeds, cuts, st.integers(2, 6), st.integers(1, 80))
def test_accuracy_and_macro_f1(seed: int, places: list[int], classes: int, rows: int) -> None:
    draw = np.random.default_rng(seed)
    truth, answer = draw.integers(0, classes, rows), draw.integers(0, classes, rows)
    assert streamed("accuracy", truth, answer, places) == pytest.approx(theirs.accuracy_score(truth, answer))
    assert streamed("f1", truth, answer, places) == pytest.approx(theirs.f1_score(truth, answer, average="macro"))


@settings(deadline=None)
@given(seeds, cuts, st.sampled_from([2, 3, 5]), st.booleans())
def test_areas_count_ties_one_half(seed: int, places: list[int], classes: int, coarse: bool) -> None:
    draw = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), draw.integers(0, classes, 80 - classes)])
    scores = draw.dirichlet(np.ones(classes), 80)
    scores = np.round(scores * 4) / 4 if coarse else scores
    rest = np.stack([theirs.roc_auc_score(truth == at, scores[:, at]) for at in range(classes)])
    expected = rest[1] if classes == 2 else rest.mean()
    assert streamed("auc", truth, scores, places) == pytest.approx(expected, abs=1e-12)
    if classes == 2:
        assert streamed("auc", truth, scores[:, 1:], places) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None)
@given(seeds, cuts, st.integers(2, 5))
def test_logloss(seed: int, places: list[int], classes: int) -> None:
    draw = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), draw.integers(0, classes, 60)])
    shares = draw.dirichlet(np.full(classes, 0.05), len(truth)).astype(np.float32)
    shares /= shares.sum(axis=1, keepdims=True)
    known = shares.astype(np.float64).clip(np.finfo(np.float32).eps, 1)
    expected = theirs.log_loss(truth, known / known.sum(axis=1, keepdims=True))
    assert streamed("logloss", truth, shares, places) == pytest.approx(expected, rel=1e-5)


@settings(deadline=None)
@given(seeds, cuts, st.integers(1, 3), st.floats(-1e6, 1e6))
def test_errors_of_numbers_are_means_over_targets_and_survive_a_large_offset(
    seed: int, places: list[int], targets: int, offset: float
) -> None:
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=(90, targets)) + offset
    answer = truth + draw.normal(size=truth.shape) * 0.1
    assert streamed("mae", truth, answer, places) == pytest.approx(theirs.mean_absolute_error(truth, answer))
    assert streamed("rmse", truth, answer, places) == pytest.approx(theirs.root_mean_squared_error(truth, answer))
    assert streamed("r2", truth, answer, places) == pytest.approx(theirs.r2_score(truth, answer))


@pytest.mark.parametrize(
    ("metric", "before", "after", "lost"),
    [
        ("accuracy", 0.9, 0.88, 0.02), ("accuracy", 0.9, 0.92, -0.02), ("f1", 0.5, 0.4, 0.1), ("auc", 0.9, 0.95, -0.05),
        ("r2", 0.8, 0.7, 0.1), ("logloss", 0.30, 0.31, 0.01), ("mae", 200.0, 210.0, 0.05), ("rmse", 2.0, 1.9, -0.05),
        ("mae", 0.0, 0.0, 0.0), ("rmse", 0.0, 1e-9, math.inf), ("mae", 1.0, math.nan, math.inf),
    ],
)  # fmt: skip
def test_a_drop_is_positive_where_the_model_became_worse(metric: str, before: float, after: float, lost: float) -> None:
    assert drop(metric, before, after) == pytest.approx(lost)


@pytest.mark.parametrize(
    ("name", "truth", "answer", "said"),
    [
        ("auc", np.ones(4, np.int64), np.linspace(0, 1, 4)[:, None], "rows of every class"),
        ("auc", np.array([0, 0, 1, 1]), np.ones((4, 3)) / 3, "1 of 3 classes without"),
        ("r2", np.ones((5, 1)), np.ones((5, 1)), "labels that vary"),
    ],
)
def test_what_labels_leave_undefined_is_refused(name: str, truth: Array, answer: Array, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        streamed(name, truth, answer, [])
    assert said in caught.value.message + caught.value.why


def test_a_score_that_is_no_number_ranks_lowest() -> None:
    scores = np.array([[np.nan], [0.1], [0.2], [0.9]])
    assert streamed("auc", np.array([0, 0, 1, 1]), scores, []) == 1.0
    assert streamed("auc", np.array([1, 0, 1, 0]), scores, []) == 0.25
