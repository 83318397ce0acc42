"""Edges follow the data, keep off its values, and are short."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlpack_edge.profiles.reference.edges import FEW, cut

Floats = NDArray[np.float64]


def _cells(edges: tuple[float, ...], values: Floats) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)


def _random() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.mark.parametrize(
    "values",
    [
        _random().normal(size=20_000), _random().lognormal(0, 3, 20_000), _random().standard_cauchy(20_000),
        _random().integers(0, 1000, 20_000).astype(float), np.round(_random().lognormal(3, 1, 20_000), 2),
        1.6e9 + _random().random(20_000) * 3600, _random().normal(size=20_000) * 1e-9, -_random().exponential(size=20_000),
    ],
    ids=["normal", "lognormal", "cauchy", "integers", "cents", "seconds since 1970", "tiny", "negative"],
)  # fmt: skip
def test_no_cell_holds_much_more_than_a_twentieth(values: Floats) -> None:
    made = cut(values)
    assert made is not None
    assert _cells(made.edges, values).max() <= 0.056 * len(values)
    outside = ((values < made.low) | (values >= made.high)).mean()
    assert outside <= 0.003
    assert 30 <= len(made.edges) <= 62


def test_edges_are_short_numbers() -> None:
    made = cut(_random().normal(3, 2, 50_000))
    assert made is not None
    assert len(json.dumps(made.edges)) / len(made.edges) < 8


def test_few_values_have_a_cell_each_also_as_float32() -> None:
    values = np.round(np.arange(FEW) * 0.1, 10)
    made = cut(np.repeat(values, 3))
    assert made is not None
    assert sorted(set(_cells(made.edges, values))) == [0, 1]
    wide = np.searchsorted(made.edges, values, side="right")
    narrow = np.searchsorted(made.edges, values.astype(np.float32).astype(np.float64), side="right")
    assert (wide == narrow).all()
    assert made.low < values[0] and values[-1] < made.high


def test_values_that_repeat_keep_off_the_edges_as_float32() -> None:
    values = np.round(_random().lognormal(3, 1, 20_000), 1)
    made = cut(values)
    assert made is not None
    inner = (values >= made.edges[4]) & (values < made.edges[-5])
    wide = np.searchsorted(made.edges, values[inner], side="right")
    narrow = np.searchsorted(made.edges, values[inner].astype(np.float32).astype(np.float64), side="right")
    assert (wide == narrow).all()


def test_zeros_in_most_rows_have_a_cell_of_their_own() -> None:
    random = _random()
    values = np.where(random.random(20_000) < 0.7, 0.0, random.exponential(10, 20_000))
    made = cut(values)
    assert made is not None
    zeros = np.searchsorted(made.edges, 0.0, side="right")
    assert _cells(made.edges, values)[zeros] - (values == 0).sum() < 0.001 * len(values)


@pytest.mark.parametrize("value", [0.0, 3.0, -1e-7, 1e12, 5e-324, -1e299])
def test_a_constant_has_a_cell_and_a_change_of_a_tenth_leaves_it(value: float) -> None:
    made = cut(np.full(5, value))
    assert made is not None
    assert made.low <= value < made.high
    changed = value * 1.1 if abs(value) > 1e-280 else 0.1
    assert not made.low <= changed < made.high


def test_values_that_are_not_finite_move_no_edge() -> None:
    values = _random().normal(size=1000)
    dirty = np.concatenate([values, [np.nan, np.inf, -np.inf]])
    assert cut(dirty) == cut(values)


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, -np.inf], [1e308]])
def test_without_a_finite_value_there_are_no_edges(values: list[float]) -> None:
    assert cut(np.array(values, np.float64)) is None


@given(st.lists(st.floats(allow_nan=False) | st.integers(-50, 50).map(float), min_size=1, max_size=300))
def test_whatever_the_values_edges_rise_and_the_range_lies_on_them(values: list[float]) -> None:
    made = cut(np.array(values))
    if made is None:
        assert all(abs(value) > 1e300 for value in values)
        return
    edges = np.array(made.edges)
    assert np.isfinite(edges).all() and (np.diff(edges) > 0).all()
    assert made.low in made.edges and made.high in made.edges and made.low < made.high
    assert np.log2(made.step).is_integer() and np.isfinite(1 / made.step)
    reach = np.array([made.edges[0], made.edges[-1]])
    assert (np.abs((reach - made.centre) / made.step) < 2**20).all()
