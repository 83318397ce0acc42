"""What the Spark engine's child process does: a session, and waves of shards through it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from mlpack_edge.batch.engines.packing import packed, unpack
from mlpack_edge.batch.engines.passes import NOTE
from mlpack_edge.batch.engines.shard_task import ERROR, NOTES, SHARDS, adopt, run_task
from mlpack_edge.core.errors import BadInput, MlpackError, WorkerFault
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.worker import WorkerBug

Json = dict[str, Any]
Stage = Callable[[str], None]

#: How often Spark on this machine runs a task whose process dies; on a cluster it is `spark.task.maxFailures`.
ATTEMPTS = 4
#: Seconds of a wave, about: a run that is killed loses the wave that is under way.
WAVE_SECONDS = 20.0
#: The JVM passes blocks of bytes on: its second compiler would only cost time, half of a start where cores are few.
JVM = "-XX:TieredStopAtLevel=1"
ROWS = "shard int, name string, place int, bytes binary"


def run(payload: Json, stage: Stage) -> Json:
    """As `passes.run_in_passes` has it."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    stage("starting Spark")
    try:
        session, cores = _session(Path(payload["scratch"]), payload["workers"])
    except (PySparkException, Py4JError) as fault:
        raise WorkerFault(
            "Spark could not be started",
            "java -version must say 17 or later, and a master that is set (SPARK_REMOTE, spark.master) must be there",
            why=_printed() or _said(str(fault)),
        ) from fault
    try:
        _run_waves(session, cores, payload, stage)
    except (PySparkException, Py4JError) as fault:
        return {"fault": _said(str(fault))}
    except OSError as fault:
        raise io_fault(fault, f"what Spark made could not be put into {payload['folder']}") from fault
    finally:
        with contextlib.suppress(PySparkException, Py4JError):  # of a JVM that died: it is gone
            session.stop()
    return {"fault": None}


def _session(scratch: Path, workers: int | None) -> tuple[Any, int]:
    """A session, and how many tasks run in it at once."""
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    os.environ.setdefault("JDK_JAVA_OPTIONS", JVM)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("mlpack score")
    if "SPARK_REMOTE" in os.environ:
        session = builder.getOrCreate()
        return session, int(session.conf.get("spark.default.parallelism", "8") or 8)
    local = scratch / "local"
    local.mkdir()
    os.environ["TMPDIR"] = str(local)  # of tasks on this machine: what a killed one leaves is removed with the run
    SparkContext._ensure_initialized()  # the JVM reads spark-defaults.conf and what spark-submit was told
    found = SparkConf()
    if found.get("spark.master", "local[*]") == "local[*]":
        cores = workers or len(os.sched_getaffinity(0))
        found.setMaster(f"local[{cores},{ATTEMPTS}]").set("spark.ui.enabled", "false")
        found.set("spark.local.dir", str(local))
    session = builder.config(conf=found).getOrCreate()
    return session, session.sparkContext.defaultParallelism


def _run_waves(session: Any, cores: int, payload: Json, stage: Stage) -> None:
    """A few shards a core at first, more when that took no time."""
    todo, folder, scratch = payload["todo"], Path(payload["folder"]), Path(payload["scratch"])
    size, number = 2 * cores, 0
    while todo:
        wave, todo = todo[:size], todo[size:]
        stage(f"scoring shards {wave[0]} to {wave[-1]} on Spark")
        began = time.monotonic()
        _run_wave(session, wave, scratch / f"wave-{number}", folder, payload, stage)
        stage("looking at what is done")
        number += 1
        if time.monotonic() - began < WAVE_SECONDS / 2:
            size *= 2


def _run_wave(session: Any, wave: Sequence[int], out: Path, folder: Path, payload: Json, stage: Stage) -> None:
    """One job of Spark, a shard a task, and what its committer let stand made the shards of `folder`.

    Raises the first shard's error after the others were taken.
    """
    frame = session.range(0, len(wave), 1, len(wave))
    scored = frame.mapInArrow(_task(payload["plan"], tuple(wave), payload["isolated"]), ROWS)
    writer = scored.write.option("compression", "none").option("parquet.enable.dictionary", "false")
    writer.parquet(out.absolute().as_uri())
    made: set[int] = set()
    errors: list[MlpackError | WorkerBug] = []
    for path in sorted(out.glob("part-*.parquet")):
        unpacked = out / "unpacked"
        with pyarrow.parquet.ParquetFile(path) as file:
            arrived = unpack(file.iter_batches(4), unpacked)
        for index in arrived:
            try:
                adopt(unpacked / f"{index:05d}", folder, index, lambda text: stage(NOTE + text))
            except (MlpackError, WorkerBug) as error:
                errors.append(error)
        made |= arrived
    shutil.rmtree(out, ignore_errors=True)
    if errors:
        raise errors[0]
    if made != set(wave):
        raise BadInput(
            f"Spark said that {len(wave)} shards were done, and {len(wave) - len(made)} of them are not below {folder}",
            "give an --output on a file system that this machine and every executor see under the same path",
        )


def _task(
    plan_text: str, wave: tuple[int, ...], isolated: bool
) -> Callable[[Iterable[pyarrow.RecordBatch]], Iterator[pyarrow.RecordBatch]]:
    """The function of `mapInArrow`: numbers into `wave` come, the files of these shards leave."""

    def scored(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        again = (
            context is not None and context.attemptNumber() > 0
        )  # the process of the attempt before it may have died
        for batch in batches:
            for number in batch.column(0).to_pylist():
                with tempfile.TemporaryDirectory(prefix="mlpack-shard-") as home:
                    scratch = Path(home) / "task"
                    run_task(plan_text, wave[number], scratch, isolated or again)
                    yield from packed(wave[number], scratch, (NOTES, ERROR, SHARDS))

    return scored


def _printed() -> str:
    """The exception that the JVM printed, "" where it printed none: this process writes to a file, and so does its JVM."""
    try:
        text = Path("/proc/self/fd/2").read_text(errors="replace")
    except OSError:  # no Linux, or a pipe
        return ""
    found = [line.strip() for line in text.splitlines() if "Exception in thread" in line or line.startswith("Error")]
    return found[-1][:400] if found else ""


def _said(text: str) -> str:
    """The line of Spark's message that says what happened: the last of a Python traceback, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ours = [line for line in lines if not line.startswith(("at ", "...", "Caused by", "File ", "Traceback"))]
    python = [line for line in ours if "Error" in line.split(":")[0] and " " not in line.split(":")[0]]
    return (python or ours or ["it gave no reason"])[-1 if python else 0][:400]
