"""Tables of a profile, without a clock: equations of grouping, coverage and the times of cut-out operators."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.runtimes.litert.cut_out import Cut, CutOut
from mlpack_edge.runtimes.measuring.profile import (
    clock_too_coarse,
    coverage,
    grouped,
    rows_from_cut_outs,
    runs_of_graphs,
    timings_wanted,
)  # fmt: skip


def _piece(op: str, names: tuple[str, ...], repeats: int, counts: tuple[float, ...] = ()) -> CutOut:
    return CutOut(op, names, counts or (1.0,) * len(names), b"one", b"many" if repeats > 1 else b"", repeats, ())


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.floats(0, 1e9)), min_size=1, max_size=20))
def test_groups_hold_the_time_of_their_rows_the_longest_first(spent: list[tuple[str, float]]) -> None:
    rows = [{"name": str(place), "op": op, "calls": 2, "ns": ns, "share": 0.1} for place, (op, ns) in enumerate(spent)]
    groups = grouped(rows)
    for group in groups:
        assert group["ns"] == pytest.approx(sum(ns for op, ns in spent if op == group["op"]))
        assert group["operators"] == sum(op == group["op"] for op, _ in spent)
    assert [group["ns"] for group in groups] == sorted((group["ns"] for group in groups), reverse=True)


@given(
    st.lists(st.tuples(st.floats(1, 1e6), st.integers(4, 32), st.integers(1, 9)), min_size=1, max_size=9),
    st.floats(1, 5e3),
    st.floats(1, 1e6),
)
def test_what_a_call_costs_falls_out_of_repeated_operators_and_is_taken_off_the_others(
    operators: list[tuple[float, int, int]], cost: float, large: float
) -> None:
    """Calls are made of cost + copies x time; the times come back, and so does the cost."""
    pieces = [
        _piece(f"OP{place}", (f"n{place}",), repeats, (float(count),))
        for place, (_, repeats, count) in enumerate(operators)
    ]
    cut = Cut((*pieces, _piece("LARGE", ("big",), 1)), ())
    timed = []
    for ns, repeats, _ in operators:
        timed += [{"ns": cost + ns, "why": ""}, {"ns": cost + repeats * ns, "why": ""}]
    timed.append({"ns": cost + large, "why": ""})
    assert len(timings_wanted(cut)) == len(timed)
    rows, found = rows_from_cut_outs(cut, timed)
    by_op = {row["op"]: row for row in rows}
    for place, (ns, _, count) in enumerate(operators):
        assert by_op[f"OP{place}"]["ns"] == pytest.approx(ns * count, rel=1e-6, abs=1e-6)
    assert by_op["LARGE"]["ns"] == pytest.approx(large, rel=1e-6, abs=1e-6)
    assert found == pytest.approx(cost, rel=1e-6, abs=1e-5)
    assert math.fsum(row["share"] for row in rows) == pytest.approx(1)


def test_an_operator_that_does_not_run_alone_is_named_with_the_reason() -> None:
    cut = Cut((_piece("ADD", ("a", "b"), 8), _piece("ODD", ("c",), 1)), (("WHILE", "w", "it runs other graphs"),))
    rows, _ = rows_from_cut_outs(
        cut, [{"ns": 200, "why": ""}, {"ns": 900, "why": ""}, {"ns": None, "why": "no such kernel"}]
    )
    assert [(row["name"], row["ns"]) for row in rows] == [("a", 100), ("b", 100), ("w", None), ("c", None)]
    assert [row.get("why") for row in rows] == [None, None, "it runs other graphs", "no such kernel"]
    assert [(group["op"], group["ns"], group["share"]) for group in grouped(rows)] == [
        ("ADD", 200, 1.0), ("WHILE", None, None), ("ODD", None, None),
    ]  # fmt: skip


def test_nothing_that_runs_alone_is_an_error() -> None:
    with pytest.raises(CheckFailed, match="no operator"):
        rows_from_cut_outs(Cut((_piece("ODD", ("c",), 1),), ()), [{"ns": None, "why": "no such kernel"}])


def test_coverage_is_of_the_whole_call() -> None:
    assert coverage([{"ns": 3.0}, {"ns": 5.0}], 10.0) == pytest.approx(0.8)
    assert math.isnan(coverage([{"ns": 3.0}], 0.0))


@pytest.mark.parametrize(("seen", "coarse"), [(1e3, True), (69e3, True), (71e3, False), (142e3, False), (144e3, True)])
def test_a_profiler_that_sees_too_little_or_mostly_itself_is_too_coarse(seen: float, coarse: bool) -> None:
    assert clock_too_coarse({"rows": [{"calls": 3}], "seen_ns": seen, "whole_ns": 100e3}) is coarse


def test_a_profiler_that_counts_in_microseconds_is_too_coarse_for_shorter_operators() -> None:
    """What it misses of some and adds to others may cancel out: the sum alone says nothing."""
    assert clock_too_coarse({"rows": [{"calls": 40}, {"calls": 11}], "seen_ns": 100e3, "whole_ns": 100e3})
    assert not clock_too_coarse({"rows": [{"calls": 40}, {"calls": 9}], "seen_ns": 100e3, "whole_ns": 100e3})


def test_a_graph_runs_as_often_as_its_operators() -> None:
    rows = [
        {"graph": 0, "calls": 1},
        {"graph": 1, "calls": 201.0},
        {"graph": 2, "calls": 200.0},
        {"graph": 2, "calls": 200},
    ]
    assert runs_of_graphs(rows) == {0: 1.0, 1: 201.0, 2: 200.0}
