"""Files that are named as profiles and hold something else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from mlpack_edge.cli.profile_files import read_profiles
from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.spec_file import digest
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.cli.drift_made import plain_days, plain_spec


@pytest.mark.parametrize("item", [b"\0", b"\x18\x20", b"\x80", b"\x81\x01", b"text"])
def test_a_large_file_of_anything_else_is_refused_at_its_first_bytes(item: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large.profile"
    path.write_bytes(item * ((4 << 20) // len(item)))
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match=r"large\.profile: report refused"):
            read_profiles([path], None)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_empty_file_holds_no_report(tmp_path: Path) -> None:
    path = tmp_path / "empty.profile"
    path.touch()
    with pytest.raises(BadInput, match=r"empty\.profile holds no report"):
        read_profiles([path], None)


@pytest.mark.parametrize("content", [b"PAR1" * 40, b'{"schema": 1}', b"a,b\n1,2\n", b"\x1f\x8b" + bytes(40)])
def test_a_file_of_something_else_is_not_asked_for_again(tmp_path: Path, content: bytes) -> None:
    """It was not damaged on its way: sent again it is the same."""
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(BadInput) as refusal:
        read_profiles([path], None)
    assert refusal.value.hint.startswith("name a profile")


def test_a_report_that_was_cut_short_is_asked_for_again(tmp_path: Path) -> None:
    spec = plain_spec()
    path = tmp_path / "cut.profile"
    path.write_bytes(ReportFormat(spec, digest(spec)).encode(plain_days(spec, 1)[0])[:-9])
    with pytest.raises(BadInput) as refusal:
        read_profiles([path], None)
    assert "send" in refusal.value.hint
