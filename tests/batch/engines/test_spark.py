"""The Spark engine with a Spark on this machine: the same bytes, and the faults of a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mlpack_edge.batch.engines.spark import SparkEngine
from mlpack_edge.core.errors import MissingExtra, WorkerFault
from tests.batch.engines.clusters import (
    contents,
    rich_plan,
    run,
    same_as_local,
    small_plan,
    started_by,
    wait_until,
    with_scratch,
)
from tests.batch.plans import plan_of
from tests.cli.score_flights import write_files, write_model

# A JVM takes 5 to 20 s to start.
pytestmark = pytest.mark.long


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return tmp_path / "run" / "shards"


def test_every_byte_is_that_of_the_local_engine(tmp_path: Path, shards: Path) -> None:
    """Partitions, columns of types that Spark does not have, rejected rows; and nothing is left behind."""
    plan = rich_plan(tmp_path)
    heard = run(SparkEngine(), plan, shards)
    same_as_local(plan, shards, tmp_path / "local")
    assert heard.rows == plan.rows
    assert sorted(facts.index for facts in heard.facts) == [0, 1, 2]
    assert heard.notes == []
    wait_until(lambda: not list(with_scratch(shards)))


def test_a_killed_worker_of_spark_is_replaced_and_the_table_is_the_same(tmp_path: Path, shards: Path) -> None:
    """The daemon forks a worker for each task; the first that is seen goes. A slow net gives time to see it."""
    files = sorted(write_files(tmp_path / "in", 6, 24_576).iterdir())
    plan = plan_of(write_model(tmp_path / "m.onnx", layers=12), files, workers=2)
    killed: list[int] = []
    over = threading.Event()

    def one() -> bool:
        daemons = {pid for pid, line in started_by(os.getpid()).items() if "pyspark.daemon" in line}
        workers = [pid for pid in daemons if set(started_by(pid)) == set() and pid not in _parents(daemons)]
        if len(daemons) > 1 and workers:
            os.kill(workers[0], signal.SIGKILL)
            killed.append(workers[0])
        return bool(killed) or over.is_set()

    thread = threading.Thread(target=wait_until, args=(one, 300))
    thread.start()
    try:
        run(SparkEngine(), plan, shards)
    finally:
        over.set()
        thread.join()
    assert killed
    same_as_local(plan, shards, tmp_path / "local")


def _parents(pids: set[int]) -> set[int]:
    """Those of `pids` that started another of them."""
    return {pid for pid in pids if set(started_by(pid)) & pids}


def test_no_process_outlives_a_coordinator_that_is_killed(tmp_path: Path, shards: Path) -> None:
    plan = rich_plan(tmp_path)
    shards.mkdir(parents=True)
    code = (
        "import json, sys; from pathlib import Path; from mlpack_edge.batch.plan import plan_from_json;"
        "from mlpack_edge.batch.engines.spark import SparkEngine; from tests.batch.plans import Heard;"
        "plan = plan_from_json(json.load(sys.stdin)); SparkEngine().run(plan, plan.shards, Path(sys.argv[1]), Heard())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(shards)], stdin=subprocess.PIPE, cwd=Path(__file__).parents[3], text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan.to_json()))
    process.stdin.close()
    wait_until(lambda: any("java" in line.split(" ")[0] for line in started_by(process.pid).values()))
    everyone = list(started_by(process.pid))
    process.kill()
    process.wait()
    wait_until(lambda: not [pid for pid in everyone if _lives(pid)], 30)
    heard = run(SparkEngine(), plan, shards)
    assert len(heard.facts) == 3
    assert not [name for name in contents(shards) if name.startswith(".")]


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] != "Z"


def test_a_spark_that_cannot_start_says_so(tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\nexit 1\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(WorkerFault, match="Spark could not be started") as raised:
        run(SparkEngine(), small_plan(tmp_path), shards)
    assert "java -version" in raised.value.hint


def test_the_master_of_the_users_own_settings_is_taken(
    tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark-defaults.conf").write_text("spark.master nowhere\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    with pytest.raises(WorkerFault, match="Spark could not be started") as raised:
        run(SparkEngine(), small_plan(tmp_path), shards)
    assert "Master must" in raised.value.why


def test_without_java_the_line_that_installs_it_is_named(
    tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MissingExtra, match="need Java") as raised:
        run(SparkEngine(), small_plan(tmp_path), shards)
    assert "openjdk" in raised.value.hint


def test_without_pyspark_the_line_that_installs_it_is_named(
    tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(MissingExtra, match="pyspark") as raised:
        run(SparkEngine(), small_plan(tmp_path), shards)
    assert raised.value.hint == "pip install 'mlpack-edge[spark]'"
