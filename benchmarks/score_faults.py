"""Runs of `mlpack score` that are killed, started twice, or have next to nothing to do."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import score_process

Json = dict[str, Any]
#: Kills of one table before it is left to finish.
MOST_KILLS = 3


def kills(line: Sequence[str], out: Path, times: int, say: Callable[[str], None]) -> Json:
    """`times` tables, each of a run that was killed with `kill -9`, all processes at once, at random moments (once to
    MOST_KILLS times, each within the time that a clean run takes), then left to finish. After every kill the output must be
    absent or whole; at the end every file must have the bytes of a clean run."""
    _clear(out)
    clean_seconds = score_process.run(line).seconds
    clean = contents(out)
    draw = random.Random(50)
    hit, wrong, reused = 0, [], 0
    for number in range(times):
        _clear(out)
        for _ in range(draw.randint(1, MOST_KILLS)):
            hit += score_process.killed_after(line, draw.uniform(0, clean_seconds))
            if out.exists() and contents(out) != clean:
                wrong.append(f"{number}: a table that is not whole was seen after a kill")
        answer = json.loads(score_process.run(line).stdout)
        reused += answer["shards"]["reused"]
        if contents(out) != clean:
            wrong.append(f"{number}: the table differs from that of a clean run")
        left = [path.name for path in out.parent.glob(f".{out.name}*") if list(path.glob("run-*"))]
        if left:
            wrong.append(f"{number}: {left} still hold a run")
        say(f"table {number + 1}: {hit} kills so far, {len(wrong)} wrong")
    _clear(out)
    return {
        "tables": times, "right": times - len({text.split(":")[0] for text in wrong}), "kills": hit, "wrong": wrong,
        "shards_reused": reused, "clean_seconds": round(clean_seconds, 2),
    }  # fmt: skip


def rerun(line: Sequence[str], out: Path, rounds: int = 5) -> Json:
    """Seconds of the first run, and of those after it, which find it done."""
    _clear(out)
    first = score_process.run(line)
    clean = contents(out)
    again = [score_process.run(line) for _ in range(rounds)]
    same = contents(out) == clean
    _clear(out)
    seconds = [round(ran.seconds, 3) for ran in again]
    return {
        "first_seconds": round(first.seconds, 2),
        "seconds": statistics.median(seconds),
        "all_seconds": seconds,
        "same": same,
    }


def startup(line: Sequence[str], out: Path, rounds: int) -> Json:
    """Seconds of a whole job of one row, and of `mlpack --version`, which is Python's own start and ours."""
    seconds, floor = [], []
    for _ in range(rounds):
        _clear(out)
        seconds.append(round(score_process.run(line).seconds, 3))
        floor.append(round(score_process.run([line[0], "--version"]).seconds, 3))
    _clear(out)
    return {"seconds": statistics.median(seconds), "all_seconds": seconds, "version_seconds": statistics.median(floor)}


def contents(out: Path) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path there."""
    found = {}
    for path in sorted(out.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                found[str(path.relative_to(out))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _clear(out: Path) -> None:
    """No table, and nothing that a run could go on from."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for path in [out, *out.parent.glob(f".{out.name}*")]:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
    time.sleep(0.05)  # a process that was killed lets go of its lock when the kernel has buried it
