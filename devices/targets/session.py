"""A conversation with an agent: start the command that is one, ask, and say clearly how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlpack_edge.core.errors import IoFault, MlpackError, WorkerFault, error_from_json
from mlpack_edge.devices.targets.agent.source import agent_source

Json = dict[str, Any]
#: How long an agent may take to clean up once its input has ended.
_LEAVE_S = 10.0
#: Read by a Python that is older than the agent wants, so without anything that is newer than version 2.
_BOOTSTRAP = """import os,sys
if sys.version_info<(3,9):
 sys.stdout.write('{{"error":{{"kind":"unsupported","message":"the Python of the target is '+sys.version.split()[0]+', the agent needs 3.9 or newer","why":"","hint":"install a newer one there, and name it with --target-python"}}}}\\n')
 sys.stdout.flush()
 sys.exit(1)
n={count}
b=b""
while len(b)<n:
 c=os.read(0,n-len(b))
 if not c: sys.exit(1)
 b+=c
sys.argv=["agent"]+{launch!r}
exec(compile(b,"agent.py","exec"),{{"__name__":"__agent__","SOURCE":b}})"""


def bootstrap(launch: Sequence[str] = ()) -> tuple[str, bytes]:
    """(the text for `python -c`, what must be sent first): an agent on a machine that has no file of ours.

    launch: what starts Python for the agent's children, where that is not the Python it runs in.
    """
    source = agent_source()
    return _BOOTSTRAP.format(count=len(source), launch=list(launch)), source


class AgentSession:
    """command: starts an agent on its standard input and output. opening: sent before the first frame.
    explain: the error for a command that ended without an answer, from its exit code (None where it had to be stopped)
    and what it printed.
    """

    def __init__(
        self, command: Sequence[str], explain: Callable[[int | None, str], MlpackError], opening: bytes = b"",
        environment: Mapping[str, str] | None = None, stage: Callable[[str], None] = lambda stage: None,
    ) -> None:  # fmt: skip
        self._explain, self._stage = explain, stage
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the session
        self._held = b""
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise,
                env=None if environment is None else dict(environment), bufsize=0,
            )  # fmt: skip
        except OSError as fault:
            self._noise.close()
            raise IoFault(
                f"{command[0]} could not be started", "check that it is installed and on PATH",
                why=fault.strerror or str(fault),
            ) from fault  # fmt: skip
        self._closed = False
        try:
            self._send(opening)
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, payload: bytes = b"", within: float | None = None, **fields: Any) -> tuple[Json, bytes]:
        """Send a frame and wait for the answer, no longer than `within` seconds: (the answer, the bytes with it).

        Raises the MlpackError that the agent sends, or `explain`'s where it ended, or WorkerFault where it kept silent.
        """
        record = {"do": do, **fields}
        if payload:
            record["bytes"] = len(payload)
        self._send(json.dumps(record).encode() + b"\n" + payload)
        deadline = None if within is None else time.monotonic() + within
        while True:
            found, block = self._read(deadline, within)
            if "stage" in found:
                self._stage(found["stage"])
            elif "error" in found:
                raise _error(found["error"])
            else:
                return found["ok"], block

    def close(self) -> None:
        """End the input and wait until the agent has cleaned up; then make sure that it is gone."""
        if self._closed:
            return
        self._closed = True
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(OSError):
            self._process.stdout.close()
        try:
            self._process.wait(_LEAVE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._process.kill()
            self._process.wait()
        self._noise.close()

    def _send(self, block: bytes) -> None:
        assert self._process.stdin is not None
        left = memoryview(block)
        # An agent that has ended is judged by its end, when its answer is read.
        with contextlib.suppress(BrokenPipeError):
            while left:
                left = left[self._process.stdin.write(left) or 0 :]

    def _read(self, deadline: float | None, seconds: float | None) -> tuple[Json, bytes]:
        while b"\n" not in self._held:
            self._more(deadline, seconds)
        line, _, self._held = self._held.partition(b"\n")
        try:
            record: Json = json.loads(line)
            wanted = int(record.get("bytes", 0))
        except (ValueError, AttributeError) as fault:
            # A shell that greets on standard output spoils the conversation.
            raise WorkerFault(
                "the target answered with something else than the agent's frames",
                "its shell may print on standard output at login: it must keep silent where no terminal is (.bashrc)",
                why=line[:200].decode("utf-8", "replace"),
            ) from fault
        pieces, have = [self._held[:wanted]], len(self._held[:wanted])
        self._held = self._held[wanted:]
        while have < wanted:
            self._more(deadline, seconds)
            piece, self._held = self._held[: wanted - have], self._held[wanted - have :]
            pieces.append(piece)
            have += len(piece)
        return record, b"".join(pieces)

    def _more(self, deadline: float | None, seconds: float | None) -> None:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(None if deadline is None else max(0.0, deadline - time.monotonic())):
                self._process.kill()
                raise WorkerFault(
                    f"the target gave no answer within {seconds:g} s", "see whether it is there, or give --time-limit"
                )
        block = os.read(self._process.stdout.fileno(), 1 << 20)
        if not block:
            try:
                code: int | None = self._process.wait(_LEAVE_S)
            except subprocess.TimeoutExpired:
                code = None
            self._noise.seek(0)
            raise self._explain(code, self._noise.read().decode("utf-8", "replace").strip())
        self._held += block


def _error(record: Json) -> MlpackError:
    return error_from_json({"data": {}, "why": "", "hint": "", **record})
