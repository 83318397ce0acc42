"""When a gate fails: where the interval leaves no doubt, or where there is none at all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.measuring.gate import Gate, gate_from_text, gate_to_json, judge, undecided
from mlpack_edge.runtimes.measuring.result import Comparison

TEN = Gate(0.10)


def _comparison(low: float, high: float, view: str = "isolated") -> Comparison:
    return Comparison("old.onnx", "new.onnx", math.sqrt(low * high), (low, high), "unclear", view, True, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "passed"),
    [(0.9, 1.0, True), (1.05, 1.3, True), (1.1, 1.3, True), (1.1001, 1.3, False), (1.5, math.inf, False)],
)
def test_only_an_interval_beyond_the_limit_fails(low: float, high: float, passed: bool) -> None:
    verdict = judge(TEN, [_comparison(low, high)])
    assert verdict.passed == passed
    assert bool(verdict.reasons) != passed


def test_what_is_not_a_number_fails() -> None:
    verdict = judge(TEN, [_comparison(math.nan, math.nan)])
    assert not verdict.passed
    assert verdict.reasons[0].startswith("new.onnx against old.onnx: no interval")


def test_a_reason_says_by_how_much_at_least() -> None:
    (reason,) = judge(TEN, [_comparison(1.123, 1.145)]).reasons
    assert reason == (
        "new.onnx against old.onnx: slower by 12.3 % at least (ratio 1.123 to 1.145 with 95 % confidence), and 10 % is the limit"
    )


def test_instructions_are_judged_exactly_and_not_called_slower() -> None:
    assert judge(TEN, [_comparison(1.1, 1.1, "instructions")]).passed
    (reason,) = judge(TEN, [_comparison(1.10001, 1.10001, "instructions")]).reasons
    assert "more instructions" in reason
    assert "slower" not in reason


def test_one_of_several_fails_all_and_is_the_one_named() -> None:
    verdict = judge(TEN, [_comparison(0.9, 1.0), _comparison(1.2, 1.3)])
    assert not verdict.passed
    assert len(verdict.reasons) == 1


def test_what_passes_without_proof_is_said() -> None:
    assert undecided(TEN, [_comparison(1.0, 1.05), _comparison(1.2, 1.3)]) == ()
    (said,) = undecided(TEN, [_comparison(1.0, 1.4)])
    assert "reaches on both sides of the limit, 1.1" in said


def test_the_document_of_a_gate() -> None:
    assert gate_to_json(TEN, [_comparison(0.9, 1.0)]) == {"limit": 0.1, "passed": True, "reasons": [], "undecided": []}


def test_a_gate_without_a_comparison_is_refused() -> None:
    """It would pass whatever was measured."""
    with pytest.raises(BadInput, match="nothing to compare with"):
        judge(TEN, [])


@given(st.floats(0.5, 2), st.floats(1, 2), st.floats(0, 1), st.floats(0, 1))
def test_a_wider_limit_never_fails_what_a_narrower_one_passes(
    low: float, width: float, one: float, more: float
) -> None:
    comparison = _comparison(low, low * width)
    assert judge(Gate(one + more), [comparison]).passed >= judge(Gate(one), [comparison]).passed


@pytest.mark.parametrize(("text", "limit"), [("10%", 0.1), ("2.5 %", 0.025), ("0%", 0.0), (" 100% ", 1.0)])
def test_a_limit_is_a_percentage(text: str, limit: float) -> None:
    assert gate_from_text(text).limit == pytest.approx(limit)


@pytest.mark.parametrize("text", ["10", "0.1", "-5%", "nan%", "inf%", "%", "", "10%%", "1e9%", "٣%", "10 percent"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no percentage"):
        gate_from_text(text)
