"""What the engines of clusters have in common in their tests: plans of several shards, and processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow

from mlpack_edge.batch.engines.engine import Engine
from mlpack_edge.batch.engines.local import LocalEngine
from mlpack_edge.batch.plan import Plan
from tests.batch.graphs import linear, negated, write_rows
from tests.batch.plans import Heard, plan_of

ROWS = 300_000
LEAST = np.iinfo(np.int64).min


def rich_plan(folder: Path) -> Plan:
    """Two files, three shards, columns of types that clusters do not have, a partition, rejected rows."""
    rng = np.random.default_rng(0)
    files = []
    for number, rows in enumerate((ROWS, 1000)):
        a = rng.normal(size=rows).astype(np.float32)
        a[17] = np.nan
        begin = datetime(2026, 1, 1)
        columns = {
            "a": a,
            "b": rng.normal(size=rows).astype(np.float32),
            "big": pyarrow.array(np.full(rows, 2**64 - 1, np.uint64)),
            "at": pyarrow.array([begin + timedelta(microseconds=1)] * rows, pyarrow.timestamp("ns")),
            "word": pyarrow.array(rng.choice(["x", "é", None], rows)).dictionary_encode(),
            "day": pyarrow.array(rng.integers(0, 3, rows), pyarrow.int8()),
        }
        files.append(write_rows(folder / f"in {number}.parquet", columns, 100_000))
    options = {"keep": ("big", "at", "word"), "partition_by": "day", "max_rejected": 0.1, "workers": 2}
    return plan_of(linear(folder / "m.onnx"), files, **options)


def small_plan(folder: Path) -> Plan:
    """One shard of five rows, for runs that end before the first."""
    rows = write_rows(folder / "in.parquet", {name: np.ones(5, np.float32) for name in ("a", "b")})
    return plan_of(linear(folder / "m.onnx"), [rows])


def crashing_plan(folder: Path) -> Plan:
    """One row of the second shard ends the process."""
    values = np.arange(ROWS)
    values[280_000] = LEAST
    rows = write_rows(folder / "in.parquet", {"x": values}, 1 << 17)
    return plan_of(negated(folder / "m.onnx"), [rows], workers=2)


def run(engine: Engine, plan: Plan, shards: Path) -> Heard:
    shards.mkdir(parents=True, exist_ok=True)
    heard = Heard()
    engine.run(plan, plan.shards, shards, heard)
    return heard


def same_as_local(plan: Plan, shards: Path, local: Path) -> None:
    """The folder holds what the local engine makes, byte by byte, and nothing else."""
    run(LocalEngine(), plan, local)
    assert contents(shards) == contents(local)


def contents(shards: Path) -> dict[str, bytes]:
    """By path; of `facts.json` only that it is there, for it holds seconds."""
    files = [path for path in shards.rglob("*") if path.is_file()]
    return {str(path.relative_to(shards)): b"" if path.name == "facts.json" else path.read_bytes() for path in files}


def started_by(root: int) -> dict[int, str]:
    """Processes that descend from `root` and live: their command lines."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
                if state != "Z":
                    parents[int(entry.name)] = int(parent)
                    lines[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return {pid: lines[pid] for pid in found[1:]}


def with_scratch(shards: Path) -> Iterator[int]:
    """Processes anywhere that have the folder of a run in their environment or command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str(shards).encode() in (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes():
                    yield int(entry.name)


def wait_until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
