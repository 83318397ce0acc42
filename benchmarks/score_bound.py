"""The least time in which a machine could score a table: reading, the model alone, writing, and nothing between them.

Each stage runs in as many processes as there are cores, all at once, each on its share of the rows; what it costs is
the processor time of all of them, taken while they compete for memory and caches as they do in a real run. Overlapped
perfectly, the run takes the larger of the sum of all stages over the cores, and the slowest stage by itself.

  read   the model's columns from Parquet into Arrow, texts as dictionaries
  model  ONNX Runtime on arrays that lie in memory: the very calls that `mlpack score` makes, one thread a session
  write  source file, source row, label and probabilities to Parquet, as `mlpack score` writes them

    python benchmarks/score_bound.py MODEL.onnx flights.parquet OUT_FOLDER
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from score_coded import recorded
from score_data import NUMBERS, TEXTS

#: Rows of a piece: a shard of `mlpack score`.
PIECE = 1 << 18


def bound(model: Path, data: Path, folder: Path, cores: int | None = None) -> dict[str, Any]:
    """Seconds: "bound", and by stage "cpu" (all processes) and "wall" (the slowest one)."""
    cores = cores or len(os.sched_getaffinity(0))
    os.environ["OMP_NUM_THREADS"] = "1"
    folder.mkdir(parents=True, exist_ok=True)
    stages: dict[str, dict[str, float]] = {}
    context = multiprocessing.get_context("spawn")
    for stage in STAGES:
        barrier, answers = context.Barrier(cores), context.SimpleQueue()
        shares = [
            (stage, str(model), str(data), str(folder), number, cores, barrier, answers) for number in range(cores)
        ]
        workers = [context.Process(target=_share, args=share) for share in shares]
        for worker in workers:
            worker.start()
        spent = [answers.get() for _ in workers]
        for worker in workers:
            worker.join()
        stages[stage] = {"cpu": sum(cpu for cpu, _ in spent), "wall": max(wall for _, wall in spent)}
    shutil.rmtree(folder)
    busy = sum(stage["cpu"] for stage in stages.values()) / cores
    return {"bound": max(busy, *(stage["wall"] for stage in stages.values())), "cores": cores, "stages": stages}


def _share(stage: str, model: str, data: str, folder: str, number: int, cores: int, barrier: Any, answers: Any) -> None:
    """In a process of its own: prepare, wait for the others, work, answer (processor seconds, seconds)."""
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    work = STAGES[stage](Path(model), Path(data), Path(folder), number, cores)
    barrier.wait()
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    answers.put((time.process_time() - cpu, time.perf_counter() - begin))


def _pieces(rows: int, number: int, cores: int) -> Iterator[tuple[int, int]]:
    """(first row, rows) of the pieces of one process."""
    for place, start in enumerate(range(0, rows, PIECE)):
        if place % cores == number:
            yield start, min(PIECE, rows - start)


def _read(model: Path, data: Path, folder: Path, number: int, cores: int) -> Callable[[], None]:
    """Contiguous row groups: a group is decoded by one process, batch by batch."""
    columns = [*NUMBERS, *TEXTS]

    def work() -> None:
        file = pyarrow.parquet.ParquetFile(data, read_dictionary=list(TEXTS), memory_map=True)
        groups = range(file.num_row_groups * number // cores, file.num_row_groups * (number + 1) // cores)
        for batch in file.iter_batches(1 << 16, row_groups=list(groups), columns=columns, use_threads=False):
            assert batch.num_rows

    return work


def _model(model: Path, data: Path, folder: Path, number: int, cores: int) -> Callable[[], None]:
    """The calls for one piece, again and again: its arrays are larger than the caches."""
    file = pyarrow.parquet.ParquetFile(data, read_dictionary=list(TEXTS))
    batch = next(file.iter_batches(PIECE, columns=[*NUMBERS, *TEXTS]))
    calls = recorded(model, batch)
    rows = file.metadata.num_rows

    def work() -> None:
        for _, count in _pieces(rows, number, cores):
            for call in calls[: -(-count * len(calls) // batch.num_rows)]:
                call()

    return work


def _write(model: Path, data: Path, folder: Path, number: int, cores: int) -> Callable[[], None]:
    rows = pyarrow.parquet.read_metadata(data).num_rows
    late = np.random.default_rng(number).uniform(size=PIECE)
    source = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.zeros(PIECE, np.int32)), [str(data)])
    vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.stack([1 - late, late], axis=1).ravel()), 2)
    label = pyarrow.array((late > 0.5).astype(np.int64))

    def work() -> None:
        for start, count in _pieces(rows, number, cores):
            columns = [source, pyarrow.array(np.arange(start, start + PIECE)), label, vectors]
            table = pyarrow.table(columns, ["source_file", "source_row", "label", "probabilities"])
            pyarrow.parquet.write_table(
                table.slice(0, count), folder / f"{start}.parquet", compression="snappy", use_dictionary=["source_file"],
                column_encoding={"source_row": "DELTA_BINARY_PACKED", "label": "DELTA_BINARY_PACKED"},
                write_statistics=["source_file", "source_row"],
            )  # fmt: skip

    return work


STAGES: dict[str, Callable[[Path, Path, Path, int, int], Callable[[], None]]] = {
    "read": _read, "model": _model, "write": _write,
}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(bound(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])), indent=1))
