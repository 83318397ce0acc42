"""Files that are named as profiles and hold something else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from mlpack_edge.cli.profile_files import read_profiles
from mlpack_edge.core.errors import BadInput


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
