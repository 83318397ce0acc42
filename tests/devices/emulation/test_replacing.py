"""A root is replaced by another one, or stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlpack_edge.devices.emulation.setup import _put_in_place


def _folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


def test_the_new_root_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    root, draft = _folder(tmp_path / "aarch64", "old"), _folder(tmp_path / ".aarch64.1234.part", "new")
    _put_in_place(draft, root)
    assert (root / "file").read_text() == "new" and not draft.exists()


def test_what_was_there_comes_back_where_the_new_root_cannot_take_its_place(tmp_path: Path) -> None:
    root = _folder(tmp_path / "aarch64", "old")
    with pytest.raises(FileNotFoundError):
        _put_in_place(tmp_path / ".aarch64.1234.part", root)
    assert (root / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["aarch64"]
