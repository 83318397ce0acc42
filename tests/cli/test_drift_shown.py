"""Cells of few rows or devices are never shown, and never to be had by subtraction."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.cli.drift_page.shown import DEVICES, ROWS, bars, neighbours

few = st.integers(0, 40)
cells = st.lists(st.tuples(few, few, st.integers(0, 20)), min_size=1, max_size=30)


@given(cells)
def test_every_part_of_a_histogram_is_empty_or_large_enough_and_all_together_are_all_rows(
    given_cells: list[tuple[int, int, int]],
) -> None:
    reference, current, devices = ([cell[side] for cell in given_cells] for side in range(3))
    parts = neighbours(reference, current, devices)
    for part in parts:
        here = slice(part.first, part.last + 1)
        assert (part.reference, part.current) == (sum(reference[here]), sum(current[here]))
        assert part.reference == 0 or part.reference >= ROWS
        assert part.current == 0 or (part.current >= ROWS and max(devices[here]) >= DEVICES)
    if parts:
        assert [part.first for part in parts] == [0, *(part.last + 1 for part in parts[:-1])]
        assert parts[-1].last == len(current) - 1


@given(cells, st.integers(1, 8))
def test_every_bar_of_categories_is_empty_or_large_enough_and_all_together_are_all_rows(
    given_cells: list[tuple[int, int, int]], most: int
) -> None:
    reference, current, devices = ([cell[side] for cell in given_cells] for side in range(3))
    names = [f"c{place}" for place in range(len(current))]
    found = bars(names, reference, current, devices, most)
    assert len(found) <= most + 1
    for bar in found:
        assert bar.reference == 0 or bar.reference >= ROWS
        assert bar.current == 0 or bar.current >= ROWS
    if found:
        assert sum(bar.reference for bar in found) == sum(reference)
        assert sum(bar.current for bar in found) == sum(current)


def test_large_cells_are_shown_as_they_are() -> None:
    assert [(part.first, part.last) for part in neighbours([10, 50, 0], [11, 0, 99], None)] == [(0, 0), (1, 1), (2, 2)]


def test_nine_rows_of_a_tail_join_their_neighbour() -> None:
    parts = neighbours([100, 100, 100], [50, 50, 9], None)
    assert [(part.first, part.last, part.current) for part in parts] == [(0, 0, 50), (1, 2, 59)]


def test_many_rows_of_nine_devices_are_not_shown_alone() -> None:
    parts = neighbours([100, 100], [5000, 5000], [9, 30])
    assert [(part.first, part.last) for part in parts] == [(0, 1)]
    assert neighbours([100], [5000], [9]) == []


def test_one_small_category_takes_a_shown_one_along_so_that_the_total_does_not_tell_it() -> None:
    found = bars(["a", "b", "c"], [500, 400, 100], [500, 40, 3], None, 7)
    assert [(bar.name, bar.current) for bar in found] == [("a", 500), ("2 others", 43)]


def test_the_categories_that_changed_most_have_bars_of_their_own() -> None:
    names = [f"c{place}" for place in range(20)]
    now = [100] * 20
    now[13] = 900
    assert "c13" in [bar.name for bar in bars(names, [100] * 20, now, None, 3)]


def test_nothing_of_few_rows_is_shown_at_all() -> None:
    assert bars(["a", "b"], [100, 100], [4, 3], None, 7) == []
    assert neighbours([100, 100], [4, 3], None) == []
