"""A run that is refused before it staged or scored anything leaves no folder beside an output that never came to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.core.errors import BadInput, IoFault
from tests.batch.outputs.runs import input_file, plan_of

ROOT = Path(__file__).parents[2]


def _refused(here: Path, staged: str = "", begun: bool = False) -> Path:
    folder = RunFolder(here / ".scores.mlpack", "scores")
    with pytest.raises(BadInput), folder:
        folder.lock()
        assert folder.staging.is_dir()
        if staged:
            (folder.staging / staged).write_text("rows")
        if begun:
            folder.begin(plan_of("scores", [input_file("a")]))
        raise BadInput("the input is not as it should be", "")
    return folder.root


def test_a_refused_run_leaves_nothing(tmp_path: Path) -> None:
    _refused(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_staged_begun_or_published_stays(tmp_path: Path) -> None:
    assert (_refused(tmp_path, staged="a.parquet") / "staging" / "a.parquet").exists()
    (tmp_path / ".scores.mlpack" / "staging" / "a.parquet").unlink()
    (_refused(tmp_path, begun=True) / "published-1").mkdir()
    assert sorted(path.name.partition("-")[0] for path in _refused(tmp_path).iterdir()) == [
        "lock",
        "published",
        "run",
        "staging",
    ]


def test_a_run_that_could_not_get_the_lock_removes_nothing(tmp_path: Path) -> None:
    with RunFolder(tmp_path / ".scores.mlpack", "scores") as holder:
        holder.lock()
        with pytest.raises(IoFault, match="another"), RunFolder(tmp_path / ".scores.mlpack", "scores") as second:
            second.lock()
        assert (tmp_path / ".scores.mlpack" / "lock").exists()


def test_a_link_to_nowhere_in_its_place_is_an_io_fault(tmp_path: Path) -> None:
    (tmp_path / ".scores.mlpack").symlink_to("nowhere")
    with (
        pytest.raises(IoFault, match="could not be opened"),
        RunFolder(tmp_path / ".scores.mlpack", "scores") as folder,
    ):
        folder.lock()


_CONTENDER = """
import os, sys, time
from pathlib import Path
from mlpack_edge.batch.ledger import RunFolder
from mlpack_edge.core.errors import BadInput, IoFault
here, held = Path(sys.argv[1]), 0
print("ready", flush=True)
sys.stdin.readline()
while held < 150:
    try:
        with RunFolder(here / ".scores.mlpack", "scores") as folder:
            folder.lock()
            os.close(os.open(here / "inside", os.O_CREAT | os.O_EXCL))  # fails where another is inside
            held += 1
            folder.staging
            os.unlink(here / "inside")
            raise BadInput("refused", "")
    except BadInput:
        pass
    except IoFault as fault:
        assert "is writing scores already" in fault.message, (fault.message, fault.why)
"""


def test_two_processes_that_are_refused_over_and_over_never_run_at_once(tmp_path: Path) -> None:
    """The one removes folder and lock while the other makes them."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _CONTENDER, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for run in runs:
        assert run.stdout is not None and run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    ended = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ended
    assert list(tmp_path.iterdir()) == []
