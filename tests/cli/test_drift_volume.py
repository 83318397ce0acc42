"""Rows a day stand beside the reference's: nights that lost most of their rows are seen, and alarm nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpack_edge.cli.drift_document import drift_document
from mlpack_edge.cli.drift_page import counted, render
from mlpack_edge.cli.drift_text import drift_text
from mlpack_edge.cli.drift_volume import reference_rows_per_day, rows_per_day
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import Blocks, Spec
from tests.cli.drift_made import plain_days, plain_spec, report_of
from tests.cli.mlpack import mlpack, mlpack_json
from tests.fleet.made import FIRST, put, report, take


def _spec(unit: str = "day", first: str = "2025-09-23", last: str = "2025-12-31") -> Spec:
    """100 days of 300 rows."""
    spec = plain_spec()
    blocks = replace(spec.reference.blocks, unit=unit, first=first, last=last)
    return replace(spec, reference=replace(spec.reference, blocks=blocks))


def _days(spec: Spec, rows: int, days: int = 40) -> list[Profile]:
    return plain_days(spec, days, rows=rows)


def test_lost_rows_are_told_beside_the_reference_and_do_not_alarm() -> None:
    """Two days in three have no profile: all days from the first to the last count."""
    spec = _spec()
    found = report_of(spec, _days(spec, 45)[::3])
    assert rows_per_day(found) == pytest.approx(14 * 45 / 40)
    text, document = drift_text(found, Gates()), drift_document(found, Gates())
    assert "current    630 rows, 16 a day (reference 300 a day), 2026-01-01 to 2026-02-09" in text.splitlines()
    assert (document["rows_per_day"], document["reference_rows_per_day"]) == (pytest.approx(15.75), 300.0)
    assert document["drifted"] == []


def test_the_page_tells_it_of_the_latest_window() -> None:
    spec = _spec()
    profiles = _days(spec, 45)
    found = report_of(spec, profiles)
    page = render(spec, found, Gates(), counted(spec, found, profiles), "late")
    assert "1,260 rows, 45 a day (reference 300 a day), 28 days to" in page


@pytest.mark.parametrize("unit", ["hour", "value", "rows"])
def test_a_reference_that_is_not_cut_by_days_is_not_compared(unit: str) -> None:
    spec = _spec(unit)
    found = report_of(spec, _days(spec, 45))
    document = drift_document(found, Gates())
    assert (document["rows_per_day"], document["reference_rows_per_day"]) == (45.0, None)
    assert " a day" not in drift_text(found, Gates())


def test_profiles_without_a_date_are_of_no_number_of_days() -> None:
    spec = _spec()
    timeless = [replace(each, window=Window(0, 0, 0)) for each in _days(spec, 45, 2)]
    for profiles in (timeless, [*timeless, *_days(spec, 45, 2)]):
        found = report_of(spec, profiles)
        assert drift_document(found, Gates())["rows_per_day"] is None and " a day" not in drift_text(found, Gates())


def test_windows_that_leave_days_out_leave_them_out_of_both() -> None:
    """Of nine days a window of seven tells the last."""
    spec = _spec()
    assert rows_per_day(report_of(spec, _days(spec, 45, 9), lengths=(7,))) == 45.0


def test_days_without_rows_count_in_the_reference_too() -> None:
    """The weekend between two weeks is of their days, as it is of the current ones."""
    blocks = Blocks("day", "when", "2026-11-02", "2026-11-13", (60,) * 10)
    assert reference_rows_per_day(blocks) == 50.0
    assert reference_rows_per_day(replace(blocks, first="the first", last="the last")) is None


def test_a_fleet_tells_it_too(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", *(report(device, day) for device in range(12) for day in range(4)))
    take(tmp_path / "store", tmp_path / "up", now=(FIRST + 5) * 86_400.0)
    words = ("fleet", "drift", "--store", "store", "--window", "1")
    done = mlpack(*words, cwd=tmp_path)
    assert "1,920 rows, 480 a day (reference 1,000 a day), 2026-09-01 to 2026-09-04" in done.stdout, done.stdout
    _, document = mlpack_json(*words, cwd=tmp_path)
    assert (document["rows_per_day"], document["reference_rows_per_day"]) == (480.0, 1000.0)
