"""A scoring worker as its coordinator sees it: started, asked, listened to, ended."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

from mlpack_edge.batch.plan import Shard

Json = dict[str, Any]

_CHILD = "from mlpack_edge.batch.engines.worker_process import main; main()"
#: One thread, for sums in one order. ONNX Runtime reports to Microsoft unless it is told not to. Arrow's own allocators keep
#: 55 MB more and take a gigabyte of address space, which RLIMIT_DATA counts; with glibc's, reading is faster too. Blocks of
#: up to 64 MB are taken from its heap and kept: pages that come and go with each batch cost system time (.21 s against .15 s in 2 million rows).
ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


class Worker:
    """One process. `shard` is what it was asked for last, `done` how many rows of it are scored, `ready` what it said
    when its models were open. It imports its libraries at once, and waits for `open`."""

    def __init__(self) -> None:
        self.shard: Shard | None = None
        self.done = 0
        self.ready: Json | None = None
        self._noise: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._buffer = b""
        self.answers, answer = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", "-c", _CHILD, str(answer), str(os.getpid())],
                stdin=subprocess.PIPE, stdout=self._noise, stderr=self._noise, pass_fds=[answer],
                env={**os.environ, **ENVIRONMENT}, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(answer)
        self.pid = self._process.pid

    def open(self, plan: Json, folder: Path, memory: int) -> None:
        """Have it open the models of a plan, within so many bytes of memory."""
        self._send({"memory": memory, "plan": plan, "folder": str(folder)})

    def run(self, shard: Shard, poisoned: dict[int, str]) -> None:
        """Ask for a shard."""
        self.shard, self.done = shard, 0
        self._send({"run": shard.index, "poisoned": poisoned})

    def probe(self, shard: Shard, first: int, rows: int, pieces: int, poisoned: dict[int, str]) -> None:
        """Ask for the rows `first` to `first + rows` to be tried in pieces (`ShardJob.probe`)."""
        self.shard = shard
        self._send({"probe": shard.index, "first": first, "rows": rows, "pieces": pieces, "poisoned": poisoned})

    def allow(self, memory: int) -> None:
        """Raise the memory it may use."""
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_DATA)
            resource.prlimit(self.pid, resource.RLIMIT_DATA, (memory, hard))

    def receive(self) -> list[Json] | None:
        """Answers that have come, waiting for one; None where the process has ended and all were received."""
        block = os.read(self.answers, 1 << 16)
        if not block:
            return None
        *lines, self._buffer = (self._buffer + block).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> int:
        """Wait for a process that leaves by itself, or end it; its exit code, negative for a signal."""
        self._close_input()
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it and what it may have started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait()

    def close(self) -> None:
        """Let go of its pipes, after its end."""
        self._close_input()
        os.close(self.answers)
        self._noise.close()

    def last_words(self) -> str:
        """The last line it printed."""
        self._noise.seek(0, os.SEEK_END)
        self._noise.seek(max(0, self._noise.tell() - 4000))
        lines = self._noise.read().decode("utf-8", "replace").strip().splitlines()
        return next((line for line in reversed(lines) if not line.startswith("INFO:")), "")

    def _send(self, record: Json) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # one that died is judged by its end
            self._process.stdin.write(json.dumps(record).encode() + b"\n")
            self._process.stdin.flush()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
