"""What a store says of itself."""

from __future__ import annotations

from pathlib import Path

from mlpack_edge.fleet.shown import Least
from mlpack_edge.fleet.status import status
from mlpack_edge.fleet.store import open_store
from tests.fleet.made import FIRST, SPEC, make_spec, put, report, take


def test_reports_rows_and_devices_by_cohort_and_day(tmp_path: Path) -> None:
    other = make_spec("y")
    reports = [
        report(device, day, cohort="red" if device < 12 else "blue") for device in range(15) for day in (2, 9, 10)
    ]
    put(tmp_path / "up", "a.cbor", *reports, report(None, 10, 500, spec=other), b"\xff" * 30, report(20, 60))
    take(tmp_path / "store", tmp_path / "up", specs=(SPEC, other))
    found = status(open_store(tmp_path / "store"))
    first, second = found.specs
    whole = first.everything
    assert (whole.reports, whole.rows, whole.devices, whole.late, whole.strays) == (46, 46 * 40, 16, 15, 1)
    assert [(each.name, each.shown, each.devices) for each in first.cohorts] == [("", False, None), ("blue", False, None), ("red", True, 12)]  # fmt: skip
    assert [(each.name, each.reports) for each in first.days] == [
        ("2026-09-03", 15),
        ("2026-09-10", 15),
        ("2026-09-11", 16),
    ]
    assert (second.everything.rows, second.everything.devices, second.everything.shown) == (500, None, True)
    assert found.quarantine == {"wrong checksum": 1} or sum(found.quarantine.values()) == 1
    later = status(open_store(tmp_path / "store"), FIRST + 9)
    assert later.specs[0].everything.reports == 31
    all_shown = status(open_store(tmp_path / "store"), least=Least(0, 1))
    assert [each.devices for each in all_shown.specs[0].cohorts] == [1, 3, 12]


def test_an_empty_store_holds_nothing(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor")
    take(tmp_path / "store", tmp_path / "up")
    found = status(open_store(tmp_path / "store"))
    assert found.files == 0 and found.specs[0].everything.reports == 0 and found.specs[0].days == ()
