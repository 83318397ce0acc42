"""Counting a row at a time: which cell a value belongs to, and what a row must have."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.cells import confidence, confidence_cell, latency_cell, latency_edges
from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.profile import faults
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Categorical, Feature, Numeric, Presence, Source, Spec
from tests.profiles.strategies import DEVICE, DIGEST, VALUES, WINDOW, group_of, spec_of, specs

NUMBER = Numeric(Source("x", INPUT), (-1.0, 0.0, 1.0, 2.0**53 + 4), -1.0, 1.0, 0.0, 2.0**-10)
TEXT = Categorical(Source("t", INPUT), ("a", "true", "1", "0.1"), ("b", "10000000000000000"))


class _Colour(str, Enum):  # noqa: UP042  # whose str is not its value
    A = "a"


class _Size(int, Enum):
    ONE = 1


def counted(feature: Feature, value: object) -> str:
    """The one cell that the value is counted in, by its place or name."""
    tally = Tally(spec_of([feature], confidence=False))
    tally.add([value])
    counts = tally.profile(DIGEST, WINDOW).counts[: feature.size]
    assert sum(counts) == 1
    place = counts.index(1)
    if isinstance(feature, Numeric):
        names = {feature.size - 2: "missing", feature.size - 1: "invalid"}
    elif isinstance(feature, Categorical):
        names = dict(zip(range(feature.size), [*feature.categories, "other", "unseen", "missing"], strict=True))
    else:
        names = {0: "present", 1: "missing"}
    return names.get(place, str(place))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (-1.5, "0"), (-1.0, "1"), (-0.0, "2"), (0.0, "2"), (math.nextafter(1.0, 0), "2"), (1.0, "3"), (2, "3"), (True, "3"),
        (math.inf, "4"), (-math.inf, "0"), (10**400, "4"), (-(10**400), "0"), (2**53 + 3, "4"), (np.float32(0.5), "2"),
        (np.int64(-7), "0"), (Decimal("0.5"), "2"), (np.array(0.5), "2"), (None, "missing"), (math.nan, "missing"),
        (np.float32("nan"), "missing"), (np.datetime64("NaT"), "missing"), (Decimal("sNaN"), "missing"), ("1.5", "invalid"),
        (b"1.5", "invalid"), ("", "invalid"), (np.str_("1.5"), "invalid"), (1j, "invalid"), ([0.5], "invalid"),
        (np.array([0.5]), "invalid"), (np.datetime64("2020-01-01"), "invalid"),
    ],
)  # fmt: skip
def test_a_number_is_counted_between_its_edges_and_what_is_none_is_invalid(value: object, cell: str) -> None:
    assert counted(NUMBER, value) == cell


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("a", "a"), (b"a", "a"), (np.str_("a"), "a"), ("b", "other"), ("c", "unseen"), ("", "unseen"), ("A", "unseen"), (True, "true"),
        (np.True_, "true"), ("true", "true"), ("True", "unseen"), (1, "1"), (1.0, "1"), (np.float32(1), "1"), (np.int8(1), "1"),
        ("1.0", "unseen"), (0.1, "0.1"), (np.float32(0.1), "unseen"), (1e16, "other"), pytest.param(10**5000, "unseen", id="5,001 digits"), (math.inf, "unseen"),
        (None, "missing"), (math.nan, "missing"), (np.float32("nan"), "missing"), ([], "unseen"), (_Colour.A, "a"), (_Size.ONE, "1"),
        (Decimal("1.00"), "1"), (Decimal("0.10"), "0.1"), (Decimal("1E+16"), "other"), (Decimal("1E+999999999"), "unseen"),
        (Fraction(1, 10), "0.1"), (Fraction(2, 2), "1"), (Decimal("1e-400"), "unseen"), (Decimal("sNaN"), "missing"),
    ],
)  # fmt: skip
def test_a_category_is_counted_by_its_text(value: object, cell: str) -> None:
    assert counted(TEXT, value) == cell


@pytest.mark.parametrize(
    ("value", "cell"), [("x", "present"), ("", "present"), (0, "present"), ([], "present"), (None, "missing")]
)
def test_of_free_text_only_presence_is_counted(value: object, cell: str) -> None:
    assert counted(Presence(Source("id", INPUT), "free text"), value) == cell


def test_pandas_missing_values_are_missing() -> None:
    pandas = pytest.importorskip("pandas")
    for value in (pandas.NA, pandas.NaT):
        assert [counted(feature, value) for feature in (NUMBER, TEXT)] == ["missing", "missing"]


def test_the_sum_adds_whole_steps_of_rows_in_inner_cells_only() -> None:
    tally = Tally(spec_of([NUMBER], confidence=False))
    for value in (-5.0, -0.75, -0.0001, 0.9999, 1e300, None, "x"):
        tally.add([value])
    assert tally.profile(DIGEST, WINDOW).sums == (-768 - 1 + 1023,)


def test_a_label_confidence_latency_and_outcome_are_counted_in_groups_that_sum_to_their_totals() -> None:
    label = Categorical(Source("label", OUTPUT), ("cat", "dog"), ())
    spec = spec_of([NUMBER, label], confidence=True)
    tally = Tally(spec)
    tally.add([0.5], ["dog"], probabilities=[0.2, 0.8], latency=5_000_000)
    tally.add({"x": 0.5}, {"label": "cat"}, probabilities=(0.95, 0.05))
    tally.add({}, outcome="failed", latency=3)
    tally.add([2.0], outcome="refused")
    tally.add([2.0])
    made = tally.profile(DIGEST, WINDOW, device=DEVICE, cohort="blue")
    assert faults(spec, made) == []
    assert (made.rows, made.predictions, made.timed) == (5, 2, 2)
    part = group_of(spec, "outcome")
    assert made.counts[part.start : part.stop] == (2, 1, 1, 1)
    part = group_of(spec, "confidence")
    assert [cell for cell, count in enumerate(made.counts[part.start : part.stop]) if count] == [16, 19]
    part = group_of(spec, "label")
    assert made.counts[part.start : part.stop] == (1, 1, 0, 0, 0)
    tally.clear()
    assert set(tally.profile(DIGEST, WINDOW).counts) == {0}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"inputs": [1.0, 2.0]}, "a row of 2 inputs"),
        ({"inputs": [1.0], "outputs": [], "probabilities": [1.0]}, "a row of 0 outputs"),
        ({"inputs": [1.0], "outputs": ["cat"]}, "no probabilities"),
        ({"inputs": [1.0], "outputs": ["cat"], "probabilities": [1.0], "outcome": "failed"}, "has an answer"),
        ({"inputs": [1.0], "outcome": "lost"}, "cannot end as 'lost'"),
        ({"inputs": [1.0], "outcome": "ok"}, "no probabilities"),
        ({"inputs": [1.0], "outputs": ["cat"], "probabilities": [[0.2, 0.8]]}, r"probability of \[0.2, 0.8\]"),
        ({"inputs": [1.0], "outputs": ["cat"], "probabilities": np.array([[0.2, 0.8]])}, "a class probability of"),
        ({"inputs": [1.0], "outputs": ["cat"], "probabilities": ["0.2", 0.8]}, "probability of '0.2'"),
        ({"inputs": [1.0], "latency": -1}, "-1 ns"),
        ({"inputs": [1.0], "latency": 1.5}, "1.5 ns"),
    ],
)
def test_a_row_that_contradicts_the_spec_is_refused_and_not_counted(row: dict[str, object], what: str) -> None:
    tally = Tally(spec_of([NUMBER, Categorical(Source("label", OUTPUT), ("cat",), ())], confidence=True))
    with pytest.raises(BadInput, match=what):
        tally.add(**row)  # type: ignore[arg-type]
    assert (tally.rows, set(tally.profile(DIGEST, WINDOW).counts)) == (0, {0})


@example(2**37)
@example(2**38 - 1)
@example(2**38)
@given(st.integers(0, 2**70))
def test_latency_cells_lie_between_their_edges(nanoseconds: int) -> None:
    edges = latency_edges()
    assert latency_cell(nanoseconds) == sum(edge <= nanoseconds for edge in edges)
    ratios = [after / before for before, after in pairwise(edges)]
    assert set(ratios) == {1.5, 4 / 3}


@pytest.mark.parametrize(
    ("probabilities", "cell"),
    [
        ([0.5, 0.5], 10), ([0.0], 19), ([1.0], 19), ([0.3], 14), ([math.nan, 0.3, 0.2], 6), ([math.nan], 0), ([None, 0.9], 18),
        ([math.inf, 0.1], 19), ([-1.0, -2.0], 0), ([np.float32(0.7), np.float32(0.3)], 13), ([], 0), ([2.0, 0.0], 19),
    ],
)  # fmt: skip
def test_confidence_is_the_largest_probability_that_is_a_number(probabilities: list[object], cell: int) -> None:
    assert confidence_cell(confidence(probabilities)) == cell


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(specs(), st.data())
def test_whatever_rows_hold_every_group_sums_to_its_total(spec: Spec, data: st.DataObject) -> None:
    tally = Tally(spec)
    inputs = [feature for feature in spec.features if feature.source.role == INPUT]
    for _ in range(data.draw(st.integers(0, 5))):
        tally.add([data.draw(VALUES) for _ in inputs])
    assert faults(spec, tally.profile(DIGEST, WINDOW)) == []
