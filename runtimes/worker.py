"""Run a function in a child process with limits: where files are opened that were not made here.

The child gets a JSON document on standard input and answers with JSON lines on a pipe of its own, so whatever a
library prints cannot be mistaken for an answer. It dies with its parent, writes no core file, does not see the
current directory on `sys.path`, and can use neither more memory nor more time than `Limits` say.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlpack_edge.core.errors import CheckFailed, Interrupted, MlpackError, WorkerFault, error_from_json
from mlpack_edge.runtimes.shortage import lacks_memory

Json = dict[str, Any]
Report = Callable[[str], None]

_CHILD = "from mlpack_edge.runtimes.worker import child_main; child_main()"
#: One thread, for sums in one order; and freed memory goes back at once (glibc mallopt(3)): a conversion holds the
#: model in several forms one after the other, not all at once. Arrow's own pool would reserve a gigabyte, which
#: RLIMIT_DATA counts. ONNX Runtime reports to Microsoft unless it is told not to.
_CHILD_ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
#: With less memory the libraries themselves may not load.
SMALLEST = 500_000_000
#: Linux prctl(2) option: the signal a child gets when its parent ends.
_PR_SET_PDEATHSIG = 1


def physical_memory() -> int:
    """Bytes of memory in this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@dataclass(frozen=True, slots=True)
class Limits:
    """seconds: wall-clock time. memory_bytes: private memory (RLIMIT_DATA); None is 80 % of the machine's."""

    seconds: float = 1800.0
    memory_bytes: int | None = None

    @property
    def memory(self) -> int:
        return physical_memory() * 8 // 10 if self.memory_bytes is None else self.memory_bytes


class WorkerBug(RuntimeError):
    """The function raised something that is no MlpackError: a defect here, shown with the child's traceback."""


def run_isolated(
    entry: str, payload: Json, limits: Limits | None = None, subject: str = "the file", on_stage: Report | None = None
) -> Json:
    """Call `entry` ("module:function", taking the payload and a `stage` function) in a child process.

    subject: what is being opened, for messages. on_stage: told what the child is doing.
    Raises the MlpackError that the function raised; WorkerFault where the child died, hung or ran out of memory;
    WorkerBug where the function raised anything else; Interrupted at Ctrl-C.
    """
    limits = limits or Limits()
    last: Json | None = None
    read_end, write_end = os.pipe()
    environment = {**os.environ, **_CHILD_ENVIRONMENT}
    with tempfile.TemporaryFile() as noise, os.fdopen(read_end, "rb") as answers:
        child = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", _CHILD],
            stdin=subprocess.PIPE, stdout=noise, stderr=noise, pass_fds=[write_end],
            env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(write_end)
        request = {
            "entry": entry,
            "payload": payload,
            "answer": write_end,
            "memory": limits.memory,
            "parent": os.getpid(),
        }
        try:
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # a child that died at once is judged by its end, below
                child.stdin.write(json.dumps(request).encode())
                child.stdin.close()
            last, stage = _listen(answers, limits.seconds, on_stage)
        except KeyboardInterrupt as stop:
            raise Interrupted("interrupted", "nothing was written; start it again when you like") from stop
        finally:
            ended = child.poll()
            if ended is None:
                # A child that has answered is leaving; one that hangs is killed with all it started.
                with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                    ended = child.wait(timeout=5 if last else 0.01)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if last is None:
            raise _fault(ended, stage, subject, limits, _tail(noise))
    if "bug" in last and limits.memory < SMALLEST:
        raise _too_small(subject, limits, last["bug"])
    if "result" in last:
        result: Json = last["result"]
        return result
    if "error" in last:
        raise error_from_json(last["error"])
    raise WorkerBug(last["bug"])


def _listen(answers: IO[bytes], seconds: float, on_stage: Report | None) -> tuple[Json | None, str]:
    """Read lines until the answer, the end of the child, or the time limit: (answer or None, last stage)."""
    deadline = time.monotonic() + seconds
    stage, buffer = "", b""
    with selectors.DefaultSelector() as selector:
        selector.register(answers, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            block = os.read(answers.fileno(), 1 << 16)
            if not block:
                return None, stage
            *lines, buffer = (buffer + block).split(b"\n")
            for line in lines:
                record = json.loads(line)
                if "stage" not in record:
                    return record, stage
                stage = record["stage"]
                if on_stage:
                    on_stage(stage)
    return None, stage


def _fault(code: int | None, stage: str, subject: str, limits: Limits, tail: str) -> MlpackError:
    """Why there is no answer."""
    doing = f" while {stage}" if stage else ""
    data = {"stage": stage, "stderr": tail}
    if code is None:
        return WorkerFault(
            f"{subject}: no end after {limits.seconds:g} s{doing}; the child process was stopped",
            "give it longer with --time-limit, or look at the file with mlpack inspect", **data,
        )  # fmt: skip
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        out_of_memory = -code == signal.SIGKILL or "bad_alloc" in tail
        return WorkerFault(
            f"{subject}: the child process died with {name}{doing}",
            "give it more memory with --memory-limit, or a smaller model" if out_of_memory
            else "the file is damaged, or the library that reads it has a defect; make the file again from its source",
            why=_last_words(tail), **data,
        )  # fmt: skip
    if limits.memory < SMALLEST:
        return _too_small(subject, limits, tail)
    return WorkerFault(
        f"{subject}: the child process ended with code {code}{doing} and gave no answer",
        "mlpack doctor shows whether the installed packages go together",
        why=_last_words(tail), **data,
    )  # fmt: skip


def _too_small(subject: str, limits: Limits, said: str) -> MlpackError:
    """Libraries that find no memory while they are imported fail in any way."""
    return WorkerFault(
        f"{subject}: the child process could not work within the memory limit of {limits.memory:,} bytes",
        f"give it {SMALLEST / 1e6:.0f}MB or more with --memory-limit", why=_last_words(said.strip()),
    )  # fmt: skip


def _last_words(tail: str) -> str:
    """The last line that is no mere information."""
    return next((line for line in reversed(tail.splitlines()) if not line.startswith("INFO:")), "")


def _tail(noise: IO[bytes]) -> str:
    """The last lines the child printed."""
    noise.seek(0, os.SEEK_END)
    noise.seek(max(0, noise.tell() - 4000))
    return noise.read().decode("utf-8", "replace").strip()


def child_main() -> None:
    """The child's side: read the request, set the limits, call the function, answer, leave."""
    request = json.loads(sys.stdin.buffer.read())
    _confine(request["memory"], request["parent"])
    with os.fdopen(request["answer"], "w", encoding="utf-8") as answer:

        def say(record: Json) -> None:
            answer.write(json.dumps(record, default=_plain) + "\n")
            answer.flush()

        module, _, name = request["entry"].partition(":")
        try:
            function = getattr(importlib.import_module(module), name)
            outcome: Json = {"result": function(request["payload"], lambda stage: say({"stage": stage}))}
        except MlpackError as error:
            stopped = isinstance(error, CheckFailed) and lacks_memory(error.why)
            outcome = {"error": (_limit_reached(request["memory"], error.why) if stopped else error).to_json()}
        except MemoryError as shortage:
            outcome = {"error": _limit_reached(request["memory"], " ".join(str(shortage).split())[:300]).to_json()}
        except BaseException:  # noqa: BLE001 - a defect travels to the parent with its traceback and is raised there
            outcome = {"bug": traceback.format_exc()}
        say(outcome)
    # Libraries' exit handlers have crashed after the work was done; the answer is given, so none of them runs.
    sys.stdout.flush()
    os._exit(0)


def _limit_reached(memory: int, why: str) -> WorkerFault:
    return WorkerFault(
        f"the memory limit of {memory / 1e6:,.0f} MB was reached",
        "give it more memory with --memory-limit, or a smaller model", why=why,
    )  # fmt: skip


def _confine(memory: int, parent: int) -> None:
    """No core file, no more memory than allowed, no life after the parent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # RLIMIT_DATA counts what is really private; RLIMIT_AS would count the address space threads only reserve.
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _plain(item: Any) -> Any:
    """Numbers and paths of other libraries as JSON has them."""
    if isinstance(item, Path):
        return str(item)
    if hasattr(item, "item"):
        return item.item()
    raise TypeError(f"{type(item).__name__} cannot travel between processes")
