"""A child process as its parent, the agent, sees it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
from typing import List, Optional, Tuple

from mlpack_edge.devices.targets.agent.frames import Frames, Json, Refusal


class Child:
    """A process that holds one model: `command` with `folder` as its current and its temporary one.

    host: the agent's own frames, watched while the child works: a host that has gone ends everything.
    """

    def __init__(self, command: List[str], folder: str, host: Frames, job: Json) -> None:
        self._host, self._job, self.label = host, job, job["label"]
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"]), "PYTHONHASHSEED": "0", "TMPDIR": folder}
        environment["ORT_DISABLE_TELEMETRY"] = (
            "1"  # it reports to Microsoft from a thread of its own, also while it is timed
        )
        # A group of its own: a launcher that stays above Python ends with it.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise, env=environment, cwd=folder,
            preexec_fn=os.setpgrp,  # noqa: PLW1509 - there is one thread, and process_group= came with Python 3.11
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._frames = Frames(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._limit = job["time_limit"]

    def ask(self, record: Optional[Json] = None) -> Tuple[Json, bytes]:
        """Its answer. Raises Refusal for what it refuses, for its death, and for silence."""
        with contextlib.suppress(BrokenPipeError):
            self._frames.write(self._job if record is None else record)
        ready, _, _ = select.select([self._frames.reading, self._host.reading], [], [], self._limit)
        if not ready:
            self.end()
            raise Refusal(
                "worker", "%s gave no answer within %g s and was stopped" % (self.label, self._limit), "",
                "give it longer with --time-limit",
            )  # fmt: skip
        if self._host.reading in ready:
            # Nothing but its end is expected of a host that waits for an answer.
            raise SystemExit(2 if os.read(self._host.reading, 1) else 1)
        found = self._frames.read()
        if found is None:
            raise self._death()
        if "error" in found[0]:
            self.end()
            raise Refusal(**found[0]["error"])
        return found[0]["ok"], found[1]

    def _death(self) -> Refusal:
        code = self._process.wait()
        self._noise.seek(0)
        lines = [line for line in self._noise.read().decode("utf-8", "replace").splitlines() if line.strip()]
        name = signal.Signals(-code).name if code < 0 and -code in set(signal.Signals) else "exit code %d" % code
        hint = (
            "the model may need more memory than the target has"
            if code == -signal.SIGKILL
            else "the runtime on the target has a defect with this model, or its packages do not go together"
        )
        message = "%s ended its process on the target with %s" % (self.label, name)
        return Refusal("worker", message, lines[-1][:400] if lines else "", hint)

    def end(self) -> None:
        """Leave nothing running."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._noise):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
