"""Facts about two runs: labels are counted, NaN never passes, the worst row is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlpack_edge.runtimes.compare import Tolerance, add, compare_output, judge

STRICT = Tolerance(1e-6, 1e-9)


def _facts(a: object, b: object, role: str = "value", tolerance: Tolerance = STRICT):  # type: ignore[no-untyped-def]
    return compare_output("y", role, "ordinary", np.asarray(a), np.asarray(b), tolerance)


def test_one_flipped_label_in_a_thousand_is_seen() -> None:
    a = np.zeros(1000, np.int64)
    b = a.copy()
    b[417] = 1
    facts = _facts(a, b, "label")
    assert facts.label_flips == 1
    assert facts.worst is not None and facts.worst.row == 417
    verdict = judge([facts])
    assert not verdict.passed
    assert "1 of 1000 labels differ" in verdict.reasons[0] and "row 417" in verdict.reasons[0]


def test_max_flips_is_a_share_of_the_rows() -> None:
    a, b = np.zeros(1000, np.int64), np.zeros(1000, np.int64)
    b[:2] = 1
    assert judge([_facts(a, b, "label", Tolerance(0, 0, 0.002))]).passed
    assert not judge([_facts(a, b, "label", Tolerance(0, 0, 0.0019))]).passed


@pytest.mark.parametrize(("a", "b"), [([np.nan], [1.0]), ([1.0], [np.nan]), ([np.inf], [1.0]), ([np.inf], [-np.inf])])
def test_what_is_not_a_number_fails(a: list[float], b: list[float]) -> None:
    assert not judge([_facts(a, b)]).passed


def test_equal_nan_and_infinity_agree() -> None:
    same = [np.nan, np.inf, -np.inf]
    facts = _facts(same, same)
    assert judge([facts]).passed and facts.max_abs == 0


def test_a_swapped_highest_class_is_counted_though_the_numbers_are_close() -> None:
    facts = _facts([[0.5, 0.5 - 1e-12]], [[0.5 - 1e-12, 0.5]], "probabilities", Tolerance(1e-6, 1e-7))
    assert facts.beyond == 0 and facts.argmax_flips == 1


def test_another_shape_is_a_difference() -> None:
    facts = _facts(np.zeros((3, 2)), np.zeros((3, 1)))
    verdict = judge([facts])
    assert not verdict.passed and "[3, 1]" in verdict.reasons[0]


def test_text_labels_are_compared_as_text() -> None:
    a = np.array(["yes", "no"], object)
    assert _facts(a, np.array(["yes", "nö"], object), "label").label_flips == 1


@pytest.mark.parametrize("role", ["label", "value"])
def test_text_is_no_number_though_it_reads_like_one(role: str) -> None:
    numbers, texts = np.array([1.0, 2.0]), np.array(["1", "2.0"], object)
    for a, b in ((numbers, texts), (texts, numbers)):
        verdict = judge([_facts(a, b, role)])
        assert not verdict.passed and "text" in verdict.reasons[0]


def test_whole_numbers_that_float64_cannot_tell_apart_differ() -> None:
    assert not judge([_facts([2**53 + 1], [2**53], tolerance=Tolerance(0, 0))]).passed


def test_a_single_number_without_a_batch_is_compared() -> None:
    assert judge([_facts(1.0, 1.0)]).passed
    assert not judge([_facts(1.0, 2.0)]).passed


arrays = hnp.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.floats(-1e6, 1e6))


@given(arrays, st.floats(0, 1e-3))
def test_a_number_agrees_exactly_within_its_tolerance(a: np.ndarray, shift: float) -> None:  # type: ignore[type-arg]
    tolerance = Tolerance(1e-6, 1e-6)
    b = a + shift
    expected = int((np.abs(b - a) > 1e-6 + 1e-6 * np.abs(a)).any(axis=1).sum())
    assert _facts(a, b, tolerance=tolerance).beyond == expected


@given(arrays, arrays)
def test_facts_of_two_groups_add_up(a: np.ndarray, b: np.ndarray) -> None:  # type: ignore[type-arg]
    one, two = _facts(a, a + 10), _facts(b, b)
    both = add(one, two)
    assert both.rows == len(a) + len(b)
    assert both.beyond == len(a)
    assert both.max_abs == one.max_abs and both.worst == one.worst
