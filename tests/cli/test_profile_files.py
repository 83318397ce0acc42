"""Reading report files: few and many reports alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlpack_edge.cli import profile_files
from mlpack_edge.cli.profile_files import read_profiles
from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest, write_spec
from mlpack_edge.profiles.wire.frame import read_frame, write_frame
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.cli.drift_made import plain_days, plain_spec

FEW, MANY = 3, 60


@pytest.fixture(scope="module")
def made() -> tuple[Spec, list[Profile]]:
    spec = plain_spec(30, 50)
    days = plain_days(spec, MANY, rows=30)
    return spec, [replace(day, device=bytes([at]) * 16) for at, day in enumerate(days)]


def _written(folder: Path, spec: Spec, reports: list[bytes]) -> Path:
    write_spec(folder / "x.spec.json", spec, False)
    (folder / "days.profile").write_bytes(b"".join(reports))
    return folder / "days.profile"


@pytest.mark.parametrize("count", [FEW, MANY])
def test_reports_are_read_in_order_and_each_once(tmp_path: Path, made: tuple[Spec, list[Profile]], count: int) -> None:
    spec, days = made
    form = ReportFormat(spec, digest(spec))
    reports = [form.encode(day) for day in days[:count]]
    path = _written(tmp_path, spec, [*reports, reports[1]])
    assert read_profiles([path], None) == (spec, days[:count])


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_damaged_report_is_refused_with_its_file(
    tmp_path: Path, made: tuple[Spec, list[Profile]], count: int
) -> None:
    """Sound in form and checksum: only reading its counters shows it."""
    spec, days = made
    form = ReportFormat(spec, digest(spec))
    reports = [form.encode(day) for day in days[:count]]
    frame = read_frame(reports[1])
    reports[1] = write_frame(replace(frame, rows=frame.rows + 1))
    with pytest.raises(BadInput) as alone:
        form.decode(reports[1])
    path = _written(tmp_path, spec, reports)
    with pytest.raises(BadInput) as refused:
        read_profiles([path], None)
    assert refused.value.message == f"{path}: {alone.value.message}"
    assert refused.value.hint == alone.value.hint and refused.value.why == alone.value.why


@pytest.mark.parametrize("count", [FEW, MANY])
def test_arrays_read_many_reports_and_no_single_one(
    tmp_path: Path, made: tuple[Spec, list[Profile]], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report alone takes twenty times as long; numpy's import takes as long as thirty."""
    spec, days = made
    form = ReportFormat(spec, digest(spec))
    path = _written(tmp_path, spec, [form.encode(day) for day in days[:count]])
    single: list[object] = []
    known = ReportFormat.profile
    monkeypatch.setattr(ReportFormat, "profile", lambda self, frame: single.append(frame) or known(self, frame))
    read_profiles([path], None)
    assert len(single) == (count if count < profile_files._MANY else 0)
