"""What the Daft engine's child process does: one frame of shards, and a function that runs each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlpack_edge.batch.engines.passes import NOTE
from mlpack_edge.batch.engines.shard_task import adopt, run_task
from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.worker import WorkerBug

Json = dict[str, Any]
Stage = Callable[[str], None]


def run(payload: Json, stage: Stage) -> Json:
    """As `passes.run_in_passes` has it."""
    os.environ.update(DAFT_ANALYTICS_ENABLED="0", DO_NOT_TRACK="1", SCARF_NO_ANALYTICS="1", DAFT_PROGRESS_BAR="0")
    os.environ.setdefault("DAFT_RUNNER", "native")
    stage("starting Daft")
    import daft

    folder, scratch = Path(payload["folder"]), Path(payload["scratch"])
    cores = payload["workers"] or len(os.sched_getaffinity(0))
    function = _function(payload["plan"], str(scratch), payload["isolated"])
    scored = daft.udf(return_dtype=daft.DataType.int64(), batch_size=1, concurrency=cores, use_process=True)(function)
    frame = daft.from_pydict({"shard": payload["todo"]}).into_partitions(len(payload["todo"]))
    errors: list[MlpackError | WorkerBug] = []
    stage("scoring on Daft")
    try:
        for row in frame.select(scored(daft.col("shard")).alias("shard")).iter_rows(results_buffer_size=1):
            _take(row["shard"], scratch, folder, errors, stage)
    except OSError as fault:
        raise io_fault(fault, f"what Daft made could not be put into {folder}") from fault
    except Exception as fault:  # noqa: BLE001 - Daft raises anything; it is said, and what is missing is done again
        return {"fault": " ".join(str(fault).split())[-400:]}
    if errors:
        raise errors[0]
    return {"fault": None}


def _take(index: int, scratch: Path, folder: Path, errors: list[MlpackError | WorkerBug], stage: Stage) -> None:
    """Make what the task left a shard of `folder`; its error is kept until the others are done."""
    made = scratch / f"{index:05d}"
    if not made.exists():
        errors.append(BadInput(
            f"Daft said that shard {index} was done, and it is not below {folder}",
            "give an --output on a file system that this machine and every task see under the same path",
        ))  # fmt: skip
        return
    try:
        adopt(made, folder, index, lambda text: stage(NOTE + text))
    except (MlpackError, WorkerBug) as error:
        errors.append(error)
    stage(f"shard {index} is done")


def _function(plan_text: str, scratch: str, isolated: bool) -> Callable[[Any], list[int]]:
    """The function of the frame: shards' indexes come and go; what was made lies in `scratch/NNNNN`."""

    def scored(shards: Any) -> list[int]:
        import uuid

        done = []
        for index in shards.to_pylist():
            draft, final = Path(scratch) / f".{uuid.uuid4().hex}", Path(scratch) / f"{index:05d}"
            run_task(plan_text, index, draft, isolated)
            if not final.exists():  # else of another attempt, which says the same
                draft.rename(final)
            done.append(index)
        return done

    return scored
