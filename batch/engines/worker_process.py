"""A scoring worker: a process with models of its own, that runs shards one after the other until its input ends.

Requests come as JSON lines on standard input; answers leave on a pipe of its own, so whatever a library prints cannot be
mistaken for one. It dies with its parent and writes no core file.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from mlpack_edge.batch.pandas_left_out import leave_pandas_out

Json = dict[str, Any]

#: Linux prctl(2) option: the signal a child gets when its parent ends.
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Arguments: the file descriptor for answers and the parent's process id. The first line of input is {"memory", "plan",
    "folder"}; the others {"run", "poisoned"} or {"probe", ...}.

    Answers: {"ready"} once all is open, {"progress"}, {"trying"}, {"finished"}, {"probed"}; {"error"}, {"memory"} or
    {"bug"}, after which the process ends. Whatever is needed is imported before the first line is read: a worker can be
    started while the plan is still being made.
    """
    answer, parent = (int(argument) for argument in sys.argv[1:])
    _die_with(parent)
    leave_pandas_out()

    def say(record: Json) -> None:
        os.write(answer, json.dumps(record).encode() + b"\n")

    from mlpack_edge.core.errors import MlpackError

    try:
        _serve(say)
    except MlpackError as error:
        say({"error": error.to_json()})
    except MemoryError as shortage:
        say({"memory": str(shortage)})
    except BaseException:  # noqa: BLE001 - a defect travels to the parent with its traceback and is raised there
        say({"bug": traceback.format_exc()})
    # Libraries' exit handlers have crashed after the work was done; the answer is given, so none of them runs.
    os._exit(0)


def _die_with(parent: int) -> None:
    """No core file, no life after the parent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _limit_memory(size: int) -> None:
    """No more private memory than `size` bytes; the parent may raise it."""
    if sys.platform == "linux":
        # RLIMIT_DATA counts what is really private; RLIMIT_AS would count the address space threads only reserve.
        resource.setrlimit(resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _serve(say: Callable[[Json], None]) -> None:
    from pathlib import Path

    from mlpack_edge.batch.plan import plan_from_json
    from mlpack_edge.batch.shard_job import ShardJob
    from mlpack_edge.runtimes import onnxruntime

    assert onnxruntime
    request = json.loads(sys.stdin.buffer.readline() or "null")
    if request is None:  # it was started ahead, and there is nothing to do
        return
    _limit_memory(request["memory"])
    plan = plan_from_json(request["plan"])
    shards = {shard.index: shard for shard in plan.shards}
    job = ShardJob(plan)
    say({"ready": True, "read_rows": job.read_rows, "block_rows": job.block_rows})
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        poisoned = {int(row): why for row, why in asked["poisoned"].items()}
        if "run" in asked:
            facts = job.run(
                shards[asked["run"]], Path(request["folder"]), lambda rows: say({"progress": rows}), poisoned
            )
            say({"finished": facts.to_json()})
        else:
            shard = shards[asked["probe"]]
            job.probe(
                shard, asked["first"], asked["rows"], asked["pieces"],
                lambda row, rows: say({"trying": [row, rows]}), poisoned,
            )  # fmt: skip
            say({"probed": True})
