"""What is staged is whole on the disk before it is called so, and `--fresh` uses none of it again."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.batch.inputs.discover import discover
from mlpack_edge.batch.inputs.staging import Staging
from mlpack_edge.batch.job import Job
from mlpack_edge.core.errors import IoFault


def _make(path: Path) -> dict[str, Any]:
    path.write_bytes(b"rows")
    return {}


def test_a_staged_file_is_synced_before_its_record_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a record would else vouch for a file of the right size without its bytes."""
    staging = Staging(tmp_path)
    path = staging.path_of("in.csv")
    seen = []
    real = os.fsync

    def sync(handle: int) -> None:
        real(handle)
        if os.fstat(handle).st_ino == path.stat().st_ino:
            seen.append(sorted(each.suffix for each in tmp_path.iterdir()))

    monkeypatch.setattr(os, "fsync", sync)
    staging.reused("in.csv", {"digest": "1"}, _make)
    assert seen == [[".parquet"]]
    assert sorted(each.suffix for each in tmp_path.iterdir()) == [".json", ".parquet"]


def test_a_disk_that_cannot_sync_is_an_io_fault_and_leaves_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(IoFault, match="could not be brought to the disk"):
        Staging(tmp_path).reused("in.csv", {"digest": "1"}, _make)
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("fresh", [False, True])
def test_fresh_stages_anew(tmp_path: Path, fresh: bool) -> None:
    path, staging = tmp_path / "in.csv", tmp_path / "staging"
    path.write_text("n\n1\n")
    (tmp_path / "gone.csv").write_text("n\n2\n")
    stages: list[str] = []
    discover(Job("m.onnx", (str(path), str(tmp_path / "gone.csv")), "out"), staging, stages.append, {})
    before = len(list(staging.iterdir()))
    stages.clear()
    discover(Job("m.onnx", (str(path),), "out", fresh=fresh), staging, stages.append, {})
    assert stages == ([f"staging {path}"] if fresh else [])
    assert len(list(staging.iterdir())) == (before // 2 if fresh else before)
