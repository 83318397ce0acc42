"""What a store says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.fleet.shown import Least
from mlpack_edge.fleet.status import status
from mlpack_edge.fleet.store import open_store
from tests.fleet.made import FIRST, FORM, SPEC, make_spec, noised, put, report, take


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
    assert found.quarantine == {"wrong checksum": 1}
    later = status(open_store(tmp_path / "store"), FIRST + 9)
    assert later.specs[0].everything.reports == 31
    all_shown = status(open_store(tmp_path / "store"), least=Least(0, 1))
    assert [each.devices for each in all_shown.specs[0].cohorts] == [1, 3, 12]


def test_an_empty_store_holds_nothing(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor")
    take(tmp_path / "store", tmp_path / "up")
    found = status(open_store(tmp_path / "store"))
    assert found.files == 0 and found.specs[0].everything.reports == 0 and found.specs[0].days == ()


@pytest.mark.parametrize(
    "place", ["clock-1", "corrections/spec=1", "day=2020-01-01", "rows=7/cohort=z", "flee[t]", "f*", "it's", "ünï 日本"]
)
def test_where_a_store_lies_says_nothing(place: str, tmp_path: Path) -> None:
    """Its folders may be called like those of a day, or hold what is a pattern elsewhere."""
    put(tmp_path / "up", "a.cbor", *(report(device, day, cohort="a") for device in range(12) for day in (9, 10)))
    for root in (tmp_path / "fleet", tmp_path / place):
        root.parent.mkdir(parents=True, exist_ok=True)
        take(root, tmp_path / "up")
    [found] = status(open_store(tmp_path / place)).specs
    whole = found.everything
    assert (whole.reports, whole.rows, whole.late, whole.strays) == (24, 24 * 40, 0, 0)
    assert [each.name for each in found.days] == ["2026-09-10", "2026-09-11"]
    assert [each.name for each in found.cohorts] == ["a"]


def test_reports_with_noise_are_counted_by_their_devices(tmp_path: Path) -> None:
    """They do not tell their rows: 0 are not few."""
    put(tmp_path / "up", "a.cbor", *(FORM.encode(noised(device)) for device in range(11)))
    take(tmp_path / "store", tmp_path / "up")
    [found] = status(open_store(tmp_path / "store")).specs
    assert (found.everything.shown, found.everything.reports, found.everything.devices) == (True, 11, 11)
    [found] = status(open_store(tmp_path / "store"), least=Least(devices=12)).specs
    assert not found.everything.shown


def test_a_damaged_line_of_the_quarantine_is_named(tmp_path: Path) -> None:
    put(tmp_path / "up", "a.cbor", b"\xff" * 50)
    take(tmp_path / "store", tmp_path / "up")
    path = next((tmp_path / "store/quarantine").rglob("*.jsonl"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BadInput, match=path.name):
        status(open_store(tmp_path / "store"))
    with pytest.raises(BadInput, match=path.name):
        take(tmp_path / "store", put(tmp_path / "more", "b.cbor", b"\xfe" * 50))
    path.unlink()
    assert take(tmp_path / "store", tmp_path / "up").quarantined == 1
