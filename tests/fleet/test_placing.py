"""Under which day a report is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from mlpack_edge.fleet.placing import CLOCKS, DAY, Rules, earliest, place
from tests.fleet.made import SPEC

TODAY = 20_700
NOW = TODAY * DAY + 3600


def placed(start: int, end: int, device: bool = True, late_after: int = 2) -> tuple[int, str, bool]:
    found = place(np.array([start]), np.array([end]), np.array([device]), NOW, Rules(late_after, 20_000 * DAY))
    return int(found.day[0]), CLOCKS[int(found.clock[0])], bool(found.late[0])


def test_a_report_belongs_to_the_day_on_which_it_began() -> None:
    assert placed((TODAY - 1) * DAY, TODAY * DAY) == (TODAY - 1, "ok", False)
    assert placed((TODAY - 8) * DAY, (TODAY - 1) * DAY) == (TODAY - 8, "ok", False), "its last day is recent"


def test_it_is_late_where_its_last_day_is_older_than_asked() -> None:
    assert placed((TODAY - 2) * DAY, (TODAY - 1) * DAY)[2] is False
    assert placed((TODAY - 3) * DAY, (TODAY - 2) * DAY)[2] is True
    assert placed((TODAY - 3) * DAY, (TODAY - 2) * DAY, late_after=3)[2] is False


def test_a_clock_that_cannot_be_right_is_marked_and_the_day_of_receipt_taken() -> None:
    assert placed(NOW + 2 * DAY, NOW + 3 * DAY) == (TODAY, "future", False)
    assert placed(NOW - DAY, NOW + DAY)[1] == "ok", "a day ahead may be a time zone"
    assert placed(0, DAY) == (TODAY, "before the spec", False)
    assert placed(0, 0) == (TODAY, "undated", False)
    assert placed(2**48 - 1, 2**48 - 1) == (TODAY, "future", False)


def test_a_batch_has_no_clock_that_could_be_too_early() -> None:
    assert placed(5 * DAY, 6 * DAY, device=False) == (5, "ok", True)


def test_nothing_was_counted_before_the_reference_ended() -> None:
    assert earliest(SPEC) == datetime(2026, 4, 30, tzinfo=UTC).timestamp()
    rows = replace(SPEC.reference.blocks, unit="rows", last="row 900")
    spec = replace(SPEC, reference=replace(SPEC.reference, blocks=rows))
    assert earliest(spec) == datetime(2020, 1, 1, tzinfo=UTC).timestamp()
