"""A shard in a task of somebody's cluster: the same `ShardJob` as on this machine, in a folder of the task's own.

What a task leaves there: `shards/NNNNN` (the finished shard), `notes.json` where there was something to say, and `error.json`
in place of the shard where it cannot be done: an error is an answer, which no cluster should try again or wrap in a stack
of its own.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlpack_edge.batch.facts import ShardFacts, facts_from_json
from mlpack_edge.batch.plan import Plan, Shard, plan_from_json
from mlpack_edge.batch.shard_folder import FACTS, shard_folder
from mlpack_edge.batch.shard_job import ShardJob
from mlpack_edge.core.errors import MlpackError, WorkerFault, error_from_json
from mlpack_edge.runtimes.worker import WorkerBug

SHARDS, NOTES, ERROR = "shards", "notes.json", "error.json"

#: What this process opened last, by the text of its plan: tasks follow each other in one process.
_opened: tuple[str, Plan, ShardJob | None] | None = None


def run_task(plan_text: str, index: int, scratch: Path, isolated: bool) -> None:
    """Run shard `index` of a plan (`Plan.to_json` as text) below the empty folder `scratch`.

    isolated: in a process of its own, which finds the rows on which the model ends it; after a process died. Raises
    nothing that belongs to the shard; MemoryError and OSError of this machine are for the cluster, which may try another one.
    """
    shards = scratch / SHARDS
    shards.mkdir(parents=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        plan, job = _open(plan_text, isolated)
        shard = next(shard for shard in plan.shards if shard.index == index)
        if job is None:
            _run_apart(plan, shard, shards, scratch / NOTES)
        else:
            job.run(shard, shards, lambda rows: None)
    except MlpackError as error:
        (scratch / ERROR).write_text(json.dumps({"error": error.to_json()}))
    except (MemoryError, OSError):
        raise
    except Exception:  # noqa: BLE001 - a defect travels to the coordinator with its traceback and is raised there
        (scratch / ERROR).write_text(json.dumps({"bug": traceback.format_exc()}))


def adopt(scratch: Path, folder: Path, index: int, note: Callable[[str], None]) -> None:
    """Make the shard that a task left below `scratch` one of `folder`, and remove the rest of it.

    Raises the MlpackError of the shard, WorkerBug for a defect, WorkerFault where bytes did not arrive as they left.
    """
    if (scratch / NOTES).exists():
        for text in json.loads((scratch / NOTES).read_text()):
            note(text)
    if (scratch / ERROR).exists():
        record = json.loads((scratch / ERROR).read_text())
        if "bug" in record:
            raise WorkerBug(record["bug"])
        raise error_from_json(record["error"])
    made, final = shard_folder(scratch / SHARDS, index), shard_folder(folder, index)
    _verify(made, index)
    if final.exists():  # of another attempt at the same shard, or one that did not match its digests
        shutil.rmtree(final)
    made.rename(final)
    shutil.rmtree(scratch)


def _open(plan_text: str, isolated: bool) -> tuple[Plan, ShardJob | None]:
    global _opened
    if _opened is None or _opened[0] != plan_text:
        _opened = (plan_text, plan_from_json(json.loads(plan_text)), None)
    text, plan, job = _opened
    if job is None and not isolated:
        job = ShardJob(plan)
        _opened = (text, plan, job)
    return plan, None if isolated else job


def _run_apart(plan: Plan, shard: Shard, shards: Path, notes: Path) -> None:
    from mlpack_edge.batch.engines.local import LocalEngine

    told: list[str] = []
    one = replace(plan, job=replace(plan.job, workers=1))
    LocalEngine().run(one, [shard], shards, _Notes(told))
    if told:
        notes.write_text(json.dumps(told))


class _Notes:
    """A listener that keeps the notes."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def progress(self, rows: int) -> None:
        """The coordinator hears of whole shards."""

    def finished(self, facts: ShardFacts) -> None:
        """The coordinator finds it."""

    def note(self, text: str) -> None:
        self._told.append(text)


def _verify(made: Path, index: int) -> None:
    facts = facts_from_json(json.loads((made / FACTS).read_text(encoding="utf-8")))
    for part in (*facts.parts, *([facts.quarantine] if facts.quarantine else [])):
        with (made / part.path).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != part.sha256:
                raise WorkerFault(
                    f"shard {index}: {part.path} did not arrive as the task wrote it",
                    "start it again: it goes on with the shards that are done", path=part.path,
                )  # fmt: skip
