"""Shards on a cluster, seen from the coordinating process: a child process talks to the cluster, what it finishes is found
in the folder of the shards.

The child is the one that holds a JVM or a scheduler; all of it ends with the child. Where the cluster gives up without a
word from the shards (a task's process died and it does not try again), a second pass runs what is missing with each shard
in a process of its own, which finds the rows that end it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlpack_edge.batch.engines.engine import Listener
from mlpack_edge.batch.plan import Plan, Shard
from mlpack_edge.batch.shard_folder import facts_of
from mlpack_edge.core.errors import Interrupted, WorkerFault
from mlpack_edge.runtimes.worker import Limits, run_isolated

#: Seconds; about as long as a timer of the system can be.
LONGEST = 20 * 86_400
NOTE = "note: "


def run_in_passes(entry: str, name: str, plan: Plan, todo: Sequence[Shard], folder: Path, listener: Listener) -> None:
    """Call `entry` ("module:function") in a child process until every shard of `todo` lies in `folder`.

    Its payload is {"plan" (text), "todo" (indexes), "folder", "scratch" (a folder of its own, removed afterwards), "workers",
    "isolated"}; it gives {"fault"}: what the cluster said when it gave up, or None. It calls `stage` whenever shards are
    there, and with "note: ..." for a note. Raises as `Engine.run`; WorkerFault where the cluster fails twice.
    """
    plan_text = json.dumps(_absolute(plan).to_json())
    missing = {shard.index: shard for shard in todo}
    scratch = folder / f".{name}.tmp"

    def look(stage: str = "") -> None:
        if stage.startswith(NOTE):
            listener.note(stage.removeprefix(NOTE))
        for index in list(missing):
            facts = facts_of(folder, index)
            if facts is not None:
                del missing[index]
                listener.progress(facts.rows_in)
                listener.finished(facts)

    for index in missing:  # what lies under a final name and is asked for all the same did not match its digests
        shutil.rmtree(folder / f"{index:05d}", ignore_errors=True)
    fault = None
    try:
        for isolated in (False, True):
            if not missing:
                break
            if fault:
                listener.note(
                    f"{name} gave up on {len(missing)} shards and they are done again, each by itself: {fault}"
                )
            _clear(scratch)
            payload = {
                "plan": plan_text, "todo": sorted(missing), "folder": str(folder.absolute()), "scratch": str(scratch.absolute()),
                "workers": plan.job.workers, "isolated": isolated,
            }  # fmt: skip
            fault = run_isolated(entry, payload, Limits(seconds=LONGEST), f"the run on {name}", look)["fault"]
            look()
    except Interrupted as stop:
        raise Interrupted("interrupted", "start it again: it goes on with the shards that are not done") from stop
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if missing:
        raise WorkerFault(
            f"{name} gave up on {len(missing)} of {len(todo)} shards, twice",
            "its own log says more; start it again here with --engine local: it goes on with the shards that are done",
            why=fault or "it said that it was done", shards=sorted(missing),
        )  # fmt: skip


def _absolute(plan: Plan) -> Plan:
    """With paths that say the same in any folder."""
    models = tuple(replace(model, path=str(Path(model.path).absolute())) for model in plan.models)
    inputs = tuple(replace(item, path=str(Path(item.path).absolute())) for item in plan.inputs)
    return replace(plan, models=models, inputs=inputs)


def _clear(scratch: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(scratch)
    scratch.mkdir()
