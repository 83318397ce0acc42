"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mlpack_edge.core.errors import BadInput, IoFault, OutputExists
from mlpack_edge.core.files import publish, refuse_existing


def test_a_complete_file_gets_its_name(tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    with publish(out, force=False) as draft:
        draft.write_bytes(b"whole")
        assert not out.exists()
    assert out.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [out]


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    out.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), publish(out, force=True) as draft:
        draft.write_bytes(b"half")
        raise ZeroDivisionError
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_an_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    out.touch()
    with pytest.raises(OutputExists, match="exists"), publish(out, force=False):
        pytest.fail("work was done for an output that cannot be put")


def test_an_output_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "m.onnx"
    with pytest.raises(OutputExists, match="meanwhile"), publish(out, force=False) as draft:
        draft.write_bytes(b"ours")
        out.write_bytes(b"theirs")
    assert out.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [out]


def test_a_directory_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a directory"):
        refuse_existing(tmp_path, force=True)
    with pytest.raises(IoFault, match="does not exist"):
        refuse_existing(tmp_path / "no" / "m.onnx", force=False)


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(IoFault) as caught, publish(tmp_path / "m.onnx", force=False) as draft:
        draft.write_bytes(b"x")
    assert "No space left" in caught.value.why
    assert "free some space" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(IoFault) as caught:
        refuse_existing(tmp_path / ("x" * 300), force=False)
    assert "too long" in caught.value.why and "shorter" in caught.value.hint


def test_a_file_system_without_hard_links_gets_the_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", none)
    out = tmp_path / "m.onnx"
    with publish(out, force=False) as draft:
        draft.write_bytes(b"whole")
    assert out.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [out]
    out.unlink()
    with pytest.raises(OutputExists), publish(out, force=False) as draft:
        draft.write_bytes(b"ours")
        out.write_bytes(b"theirs")
    assert out.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [out]
