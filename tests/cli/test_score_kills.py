"""A run that is killed goes on where it was, and the table is the same as if nothing had happened."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.mlpack import LINE, mlpack_json
from tests.cli.score_flights import table_of, write_files, write_model

pytestmark = pytest.mark.long

FILES, ROWS = 16, 4096


def _digests(output: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(output.iterdir())}


def _left(folder: Path) -> list[str]:
    """What a finished run must not leave; the table that it replaced stays, whole."""
    kept = ("lock", "last.json", "published-", "replaced-")
    strange = [str(path) for path in folder.iterdir() if not path.name.startswith(kept)]
    return [*strange, *(str(path) for path in folder.rglob("*") if ".tmp" in path.name)]


def _killed(words: list[str], cwd: Path, seconds: float) -> bool:
    """Start the command and kill its process with SIGKILL after so many seconds; whether it was still running."""
    with subprocess.Popen([*LINE, *words], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            return True


def test_fifty_kills_lose_nothing_and_write_nothing_twice(tmp_path):
    """At random points, planning and publishing included; readers see no table, or a whole one."""
    write_model(tmp_path / "model.onnx", layers=6)
    write_files(tmp_path / "in", FILES, ROWS)
    words = ["score", "model.onnx", "--input", "in/*.parquet", "--output", "out"]
    code, clean = mlpack_json(*[*words[:-1], "clean"], cwd=tmp_path)
    assert code == 0 and clean["rows_out"] == FILES * ROWS
    wanted = _digests(tmp_path / "clean")
    longest = clean["seconds"] + 0.6
    chance = random.Random(50)
    kills, tables, resumed = 0, 0, 0
    while kills < 50:
        kills += _killed(words, tmp_path, chance.uniform(0.05, longest))
        if (tmp_path / "out").exists():
            assert _digests(tmp_path / "out") == wanted
        if chance.random() < 0.25 or kills == 50:
            code, finished = mlpack_json(*words, cwd=tmp_path)
            assert code == 0 and _digests(tmp_path / "out") == wanted
            assert not _left(tmp_path / ".out.mlpack")
            resumed += finished["shards"]["reused"] > 0
            tables += 1
            for path in (tmp_path / "out").iterdir():
                path.unlink()
            (tmp_path / "out").rmdir()
    assert resumed >= 1 and tables >= 5, "no run was taken up in its middle: the test does not test it"


def test_a_killed_replacement_leaves_the_old_table_and_then_gives_the_new_one(tmp_path):
    write_model(tmp_path / "model.onnx", layers=6)
    write_files(tmp_path / "in", FILES, ROWS)
    words = ["score", "model.onnx", "--input", "in/*.parquet", "--output", "out"]
    assert mlpack_json(*words, cwd=tmp_path)[0] == 0
    old = _digests(tmp_path / "out")
    write_model(tmp_path / "model.onnx", layers=6, scale=0.02)
    began = time.monotonic()
    assert _killed(words, tmp_path, 1.2) or time.monotonic() - began < 1.2
    assert _digests(tmp_path / "out") == old
    code, said = mlpack_json(*words, cwd=tmp_path)
    assert code == 0 and said["changed"] == ["model model changed"]
    assert not set(_digests(tmp_path / "out")) & set(old)
    assert table_of(tmp_path / "out").height == FILES * ROWS


def test_workers_killed_one_after_the_other_change_nothing(tmp_path):
    write_model(tmp_path / "model.onnx", layers=6)
    write_files(tmp_path / "in", FILES, ROWS)
    words = ["score", "model.onnx", "--input", "in/*.parquet", "--output"]
    assert mlpack_json(*words, "clean", cwd=tmp_path)[0] == 0
    with subprocess.Popen([*LINE, *words, "out"], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        killed = 0
        while process.poll() is None and killed < 2:
            time.sleep(0.4)
            for worker in _workers(process.pid)[:1]:
                os.kill(worker, signal.SIGKILL)
                killed += 1
        assert process.wait(120) == 0
    assert killed, "no worker was seen"
    assert _digests(tmp_path / "out") == _digests(tmp_path / "clean")


def _workers(parent: int) -> list[int]:
    """The scoring processes below a command."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == parent and b"worker_process" in line:
                found.append(int(entry.name))
    return sorted(found)
