"""Two directories exchange their names in one step."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mlpack_edge.batch.exchange import can_exchange, exchange


def test_each_gets_the_name_of_the_other(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "file").read_text() == "b"
    assert (tmp_path / "b" / "file").read_text() == "a"


def test_a_name_that_is_not_there_is_an_error_and_nothing_moves(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").is_dir()


def test_a_file_system_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    def cannot(a: Path, b: Path) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    assert can_exchange(tmp_path)
    assert not can_exchange(tmp_path, cannot)
    assert list(tmp_path.iterdir()) == []
