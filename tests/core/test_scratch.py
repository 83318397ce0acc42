"""Temporary folders leave nothing behind, and are never removed under who uses them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mlpack_edge.core.scratch import scratch_folder

_HOLDER = """
import sys, time
from mlpack_edge.core.scratch import scratch_folder
with scratch_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_empty_and_gone_afterwards_also_after_an_error(temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder() as folder:
        assert not list(Path(folder).iterdir())
        Path(folder, "file").write_text("something")
        raise ZeroDivisionError
    assert not list(temporary.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(temporary: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    line = [sys.executable, "-c", _HOLDER]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        theirs = Path(holder.stdout.readline().strip())
        with scratch_folder() as mine:
            assert theirs.is_dir() and Path(mine).is_dir()
        holder.send_signal(signal.SIGKILL)
    assert theirs.is_dir()
    with scratch_folder() as mine:
        assert not theirs.parent.exists() and [path.name for path in temporary.iterdir()] == [Path(mine).parent.name]


def test_folders_of_others_and_links_are_left_alone(temporary: Path) -> None:
    (temporary / "mlpack-scratch-unlocked").mkdir()  # just being made: its lock has no name yet
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere" / "lock").touch()
    (temporary / "mlpack-scratch-link").symlink_to(temporary / "elsewhere")
    with scratch_folder():
        pass
    assert {path.name for path in temporary.iterdir()} == {
        "mlpack-scratch-unlocked",
        "mlpack-scratch-link",
        "elsewhere",
    }
    assert (temporary / "elsewhere" / "lock").exists()


def test_a_folder_beside_a_file_is_hidden_and_gone_afterwards_also_after_a_kill(temporary: Path) -> None:
    output = temporary / "models" / "small.onnx"
    output.parent.mkdir()
    program = _HOLDER.replace("scratch_folder()", f"scratch_folder(Path({str(output)!r}))")
    with subprocess.Popen(
        [sys.executable, "-c", f"from pathlib import Path\n{program}"], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        assert [path.name[0] for path in output.parent.iterdir()] == ["."]
        holder.send_signal(signal.SIGKILL)
    with scratch_folder(output) as mine:
        assert [path.name for path in output.parent.iterdir()] == [Path(mine).parent.name]
        Path(mine, "draft").write_text("a model")
        Path(mine, "draft").rename(output)
    assert [path.name for path in output.parent.iterdir()] == ["small.onnx"]
