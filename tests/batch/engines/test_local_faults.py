"""The engine of this machine when workers are killed, memory is short, or an input goes bad."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from mlpack_edge.batch.engines.capacity import capacity_of
from mlpack_edge.batch.engines.local import LocalEngine
from mlpack_edge.core.errors import BadInput, Interrupted, WorkerFault
from tests.batch.graphs import hungry, linear, looked_up, mixing, write_rows
from tests.batch.plans import Heard, plan_of, table_of


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "shards"
    folder.mkdir(parents=True)
    return folder


def children() -> set[int]:
    """Processes that this one started and that have not ended."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def folders(shards: Path) -> list[str]:
    return sorted(path.name for path in shards.iterdir())


class Killer(Heard):
    """Kills a worker at random now and then, as long as it may."""

    def __init__(self, kills: int) -> None:
        super().__init__()
        self.left = kills
        self._random = random.Random(3)

    def progress(self, rows: int) -> None:
        super().progress(rows)
        if self.left and self._random.random() < 0.2:
            with contextlib.suppress(IndexError, ProcessLookupError):
                os.kill(self._random.choice(sorted(children())), signal.SIGKILL)
                self.left -= 1


def test_killed_workers_lose_nothing_and_repeat_nothing(tmp_path: Path, shards: Path) -> None:
    values = np.random.default_rng(2).normal(size=1_200_000).astype(np.float32)
    data = write_rows(tmp_path / "in.parquet", {"a": values}, group=500_000)
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data], workers=3, batch_rows=16_384)
    clean = tmp_path / "clean"
    clean.mkdir()
    LocalEngine().run(plan, plan.shards, clean, Heard())
    killer = Killer(3)
    LocalEngine().run(plan, plan.shards, shards, killer)
    assert killer.left == 0
    assert killer.rows == 1_200_000
    assert len(killer.facts) == len(plan.shards)
    for shard in plan.shards:
        name = f"{shard.index:05d}/part.parquet"
        assert (shards / name).read_bytes() == (clean / name).read_bytes()
    assert any("short of memory" in note for note in killer.notes)
    assert folders(shards) == [f"{shard.index:05d}" for shard in plan.shards]


def test_a_worker_that_is_killed_again_and_again_stops_the_run_and_says_what_to_do(
    tmp_path: Path, shards: Path
) -> None:
    data = write_rows(tmp_path / "in.parquet", {"a": np.zeros(300_000, np.float32)})
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data], workers=1, batch_rows=4096)
    with pytest.raises(WorkerFault, match="shard 0") as caught:
        LocalEngine().run(plan, plan.shards, shards, Killer(100))
    assert "--memory" in caught.value.hint
    assert children() == set()
    assert not [name for name in folders(shards) if name.endswith(".tmp")]


def test_a_row_that_needs_the_memory_of_two_workers_gets_it(tmp_path: Path, shards: Path) -> None:
    values = np.zeros(400_000, np.int64)
    values[300_000] = 70_000_000  # 560 MB, and a worker takes 100 before that: two may have 604 each
    data = write_rows(tmp_path / "in.parquet", {"x": values}, group=200_000)
    plan = plan_of(hungry(tmp_path / "m.onnx"), [data], workers=2, memory=1_200_000_000)
    heard = Heard()
    LocalEngine().run(plan, plan.shards, shards, heard)
    assert any("goes on with 1" in note for note in heard.notes)
    scores = table_of(shards)["score"].to_numpy()
    assert len(scores) == 400_000
    assert scores[300_000] == 140_000_000
    assert scores[200_000] == 0


def test_too_little_memory_for_one_worker_names_the_shard_and_the_option(tmp_path: Path, shards: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", {"x": np.full(10_000, 200_000_000)})
    plan = plan_of(hungry(tmp_path / "m.onnx"), [data], memory=400_000_000)
    with pytest.raises(WorkerFault, match="shard 0") as caught:
        LocalEngine().run(plan, plan.shards, shards, Heard())
    assert "--memory" in caught.value.hint
    assert folders(shards) == []


def test_a_row_that_takes_all_memory_is_rejected(tmp_path: Path, shards: Path) -> None:
    values = np.arange(10_000) % 7
    values[4321] = 10**12
    data = write_rows(tmp_path / "in.parquet", {"x": values})
    plan = plan_of(hungry(tmp_path / "m.onnx"), [data], memory=600_000_000)
    heard = Heard()
    LocalEngine().run(plan, plan.shards, shards, heard)
    assert heard.facts[0].rows_rejected == 1
    assert 4321 not in table_of(shards)["source_row"].to_pylist()


def test_memory_decides_how_many_workers_there_are(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", {"x": np.arange(10)})
    plans = [plan_of(looked_up(tmp_path / "m.onnx"), [data], workers=4, memory=size) for size in (400_000_000, None)]
    assert [capacity_of(plan, 9).workers for plan in plans] == [2, 4]
    assert capacity_of(plans[1], 3).workers == 3
    with pytest.raises(BadInput, match="--memory"):
        capacity_of(plan_of(looked_up(tmp_path / "m.onnx"), [data], memory=200_000_000), 1)


def test_an_input_that_vanishes_stops_the_run_and_finished_shards_stay(tmp_path: Path, shards: Path) -> None:
    data = write_rows(tmp_path / "in ä.parquet", {"a": np.zeros(1_500_000, np.float32)}, group=250_000)
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data], workers=1)

    class Remover(Heard):
        def finished(self, facts: object) -> None:
            super().finished(facts)
            data.unlink(missing_ok=True)

    heard = Remover()
    with pytest.raises(BadInput, match=r"in ä\.parquet changed or vanished"):
        LocalEngine().run(plan, plan.shards, shards, heard)
    assert folders(shards) == ["00000"]
    assert children() == set()


def test_an_input_that_is_written_again_stops_the_run(tmp_path: Path, shards: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", {"a": np.zeros(10, np.float32)})
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data])
    write_rows(data, {"a": np.ones(10, np.float32)})
    with pytest.raises(BadInput, match="changed or vanished"):
        LocalEngine().run(plan, plan.shards, shards, Heard())
    assert folders(shards) == []


def test_a_damaged_row_group_is_named_and_the_shards_before_it_stay(tmp_path: Path, shards: Path) -> None:
    values = np.random.default_rng(1).normal(size=900_000).astype(np.float32)
    data = write_rows(tmp_path / "in.parquet", {"a": values}, group=260_000)
    place = pyarrow.parquet.read_metadata(data).row_group(2).column(0).data_page_offset
    stat = data.stat()
    with data.open("r+b") as stream:
        stream.seek(place)
        stream.write(b"\xff" * 40)
    os.utime(data, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data], workers=1)
    with pytest.raises(BadInput, match="row group 2"):
        LocalEngine().run(plan, plan.shards, shards, Heard())
    assert folders(shards) == ["00000", "00001"]


def test_interrupting_ends_all_workers_and_keeps_finished_shards(tmp_path: Path, shards: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", {"a": np.zeros(2_000_000, np.float32)}, group=250_000)
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data], workers=2)

    class Stopper(Heard):
        def finished(self, facts: object) -> None:
            super().finished(facts)
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        LocalEngine().run(plan, plan.shards, shards, Stopper())
    assert children() == set()
    assert [name for name in folders(shards) if name.startswith(".")] == []
    assert folders(shards)


_COORDINATOR = """
import sys
from pathlib import Path
from mlpack_edge.batch.engines.local import LocalEngine
from tests.batch.plans import Heard, plan_of

class Told(Heard):
    def progress(self, rows):
        print("progress", flush=True)

plan = plan_of(Path(sys.argv[1]), [Path(sys.argv[2])], workers=2, batch_rows=4096)
LocalEngine().run(plan, plan.shards, Path(sys.argv[3]), Told())
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_their_coordinator(tmp_path: Path, shards: Path, ending: signal.Signals) -> None:
    data = write_rows(tmp_path / "in.parquet", {"a": np.zeros(2_000_000, np.float32)}, group=250_000)
    model = mixing(tmp_path / "m.onnx", width=512)
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", _COORDINATOR, model, data, shards], cwd=root, stdout=subprocess.PIPE
    ) as coordinator:
        assert coordinator.stdout is not None
        assert coordinator.stdout.readline() == b"progress\n"
        workers = Path(f"/proc/{coordinator.pid}/task/{coordinator.pid}/children").read_text().split()
        assert workers
        coordinator.send_signal(ending)
        coordinator.wait(10)
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in workers if _runs(pid)]


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_workers_started_ahead_are_used_or_ended(tmp_path: Path, shards: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", {"a": np.zeros(600_000, np.float32)}, group=200_000)
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data], workers=3)
    engine = LocalEngine()
    engine.prepare(plan.job)
    ahead = children()
    assert len(ahead) == max(min(3, len(os.sched_getaffinity(0))) - 1, 1), "a core is left for the planning"
    seen: set[int] = set()

    class Watching(Heard):
        def progress(self, rows: int) -> None:
            super().progress(rows)
            seen.update(children())

    engine.run(plan, plan.shards[:2], shards, Watching())
    assert ahead <= seen
    assert children() == set()
    engine.prepare(plan.job)
    engine.close()
    assert children() == set()


def test_drafts_of_a_killed_run_are_cleared_away(tmp_path: Path, shards: Path) -> None:
    (shards / ".00000.999.tmp").mkdir()
    (shards / ".00000.999.tmp" / "part.parquet").write_bytes(b"half")
    data = write_rows(tmp_path / "in.parquet", {"a": np.zeros(5, np.float32)})
    plan = plan_of(mixing(tmp_path / "m.onnx"), [data])
    LocalEngine().run(plan, plan.shards, shards, Heard())
    assert folders(shards) == ["00000"]


def test_a_model_that_is_gone_is_an_error_and_no_hang(tmp_path: Path, shards: Path) -> None:
    data = write_rows(tmp_path / "in.parquet", {"a": np.zeros(5, np.float32), "b": np.zeros(5, np.float32)})
    plan = plan_of(linear(tmp_path / "m.onnx"), [data])
    (tmp_path / "m.onnx").unlink()
    began = threading.active_count()
    with pytest.raises(Exception, match=r"m\.onnx"):
        LocalEngine().run(plan, plan.shards, shards, Heard())
    assert threading.active_count() == began
    assert children() == set()


def test_a_thousand_column_names_a_nested_column_and_spaces(tmp_path: Path, shards: Path) -> None:
    """2,000 columns of which two are read, a nested one among the others, names with spaces and letters of other scripts."""
    count = 500
    columns = {f"c {number} é": pyarrow.array(np.arange(count)) for number in range(2000)}
    columns["nested"] = pyarrow.array([{"x": [1, 2]}] * count)
    columns |= {name: pyarrow.array(np.arange(count, dtype=np.float32)) for name in ("a", "b")}
    data = write_rows(tmp_path / "in put ж.parquet", columns, group=200)
    plan = plan_of(linear(tmp_path / "mo del é.onnx"), [data], keep=("c 17 é",))
    LocalEngine().run(plan, plan.shards, shards, Heard())
    table = table_of(shards)
    assert table.column_names == ["source_file", "source_row", "c 17 é", "score", "both"]
    assert table["c 17 é"].to_pylist() == list(range(count))
    assert table["score"].to_pylist() == [-float(number) for number in range(count)]
    assert set(table["source_file"].to_pylist()) == {"in put ж.parquet"}


@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row(tmp_path: Path, shards: Path, rows: int) -> None:
    from mlpack_edge.batch.plan import Shard

    columns = {name: np.ones(rows, np.float32) for name in ("a", "b")}
    plan = plan_of(linear(tmp_path / "m.onnx"), [write_rows(tmp_path / "in.parquet", columns)])
    todo = plan.shards or (Shard(0, 0, 0, 0, (), 0),)
    if not plan.shards:
        from dataclasses import replace

        plan = replace(plan, shards=todo)
    heard = Heard()
    LocalEngine().run(plan, todo, shards, heard)
    assert heard.facts[0].rows_out == rows
    table = table_of(shards)
    assert table["both"].to_pylist() == [[1.0, 1.0]] * rows
    assert table.column_names == ["source_file", "source_row", "score", "both"]
