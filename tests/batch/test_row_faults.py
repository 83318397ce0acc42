"""Finding the rows on which a model stops, by halving."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlpack_edge.batch.row_faults import faulty_rows
from mlpack_edge.core.errors import CheckFailed, WorkerFault

Mask = NDArray[np.bool_]


def stopping_on(bad: set[int], why: str = "bad row") -> tuple[list[int], Callable[[Mask], None]]:
    """A model that stops where one of `bad` is among the rows, and how often it was run."""
    runs: list[int] = []

    def run(tried: Mask) -> None:
        runs.append(int(tried.sum()))
        if bad & set(np.flatnonzero(tried).tolist()):
            raise CheckFailed("stopped", why=why)

    return runs, run


@given(st.sets(st.integers(0, 199), max_size=12), st.sets(st.integers(0, 199), max_size=150))
def test_exactly_the_accepted_rows_at_fault_are_found(bad: set[int], rejected: set[int]) -> None:
    accepted = np.ones(200, bool)
    accepted[list(rejected)] = False
    runs, run = stopping_on(bad)
    assert set(faulty_rows(run, accepted, 200)) == bad - rejected
    assert len(runs) <= 1 + 2 * 8 * max(1, len(bad))


def test_more_rows_than_allowed_end_the_search() -> None:
    runs, run = stopping_on(set(range(1000)))
    with pytest.raises(CheckFailed, match="more than 5 rows"):
        faulty_rows(run, np.ones(1000, bool), 5)
    assert len(runs) < 40


def test_rows_that_only_fail_together_are_the_models_fault() -> None:
    def run(tried: Mask) -> None:
        if tried[3] and tried[90]:
            raise CheckFailed("stopped", why="3 and 90")

    with pytest.raises(WorkerFault, match="none of their halves"):
        faulty_rows(run, np.ones(100, bool), 5)


def test_a_lack_of_memory_is_no_rows_fault() -> None:
    _, run = stopping_on({7}, "Failed to allocate memory for requested buffer of size 80000000000000")
    with pytest.raises(MemoryError):
        faulty_rows(run, np.ones(100, bool), 5)
