"""Findings: which rows are rejected, and the kinds of reasons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.scoring.findings import CRASH, NOT_FINITE, Finding, Findings, found, merge, no_findings

KINDS = [Finding("missing", "a", "r"), Finding("infinity", "a", "r"), Finding("missing", "b", "r")]


@st.composite
def findings(draw: st.DrawFn, rows: int = 12) -> Findings:
    masks = [
        (kind, np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows))))
        for kind in draw(st.permutations(KINDS))
    ]
    return found(rows, masks[: draw(st.integers(0, 3))])


def said(some: Findings) -> list[Finding | None]:
    return [some.kinds[code - 1] if code else None for code in some.codes]


@settings(deadline=None)
@given(findings(), findings())
def test_the_first_finding_of_a_row_stays(a: Findings, b: Findings) -> None:
    both = merge(a, b)
    assert said(both) == [one or other for one, other in zip(said(a), said(b), strict=True)]
    assert len(set(both.kinds)) == len(both.kinds)
    assert both.accepted.tolist() == [one is None for one in said(both)]


@settings(deadline=None)
@given(findings())
def test_counts_are_of_rows(some: Findings) -> None:
    assert some.counts() == {kind: said(some).count(kind) for kind in KINDS if kind in said(some)}


def test_rows_that_a_model_failed_on_are_told_from_the_others() -> None:
    kinds = tuple(Finding(rule, "", "") for rule in ("missing", CRASH, NOT_FINITE))
    assert Findings(np.array([0, 1, 2, 3, 2], np.int32), kinds).failed.tolist() == [False, False, True, True, True]
    assert not no_findings(3).failed.any()


def test_findings_of_other_rows_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="3 and of 4 rows"):
        merge(no_findings(3), no_findings(4))
