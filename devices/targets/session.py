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
from typing import Any, NoReturn

from mlpack_edge.core.errors import Interrupted, IoFault, MlpackError, WorkerFault
from mlpack_edge.devices.targets.agent.source import agent_source
from mlpack_edge.devices.targets.answers import error_from_answer

Json = dict[str, Any]
#: How long an agent may take to clean up once its input has ended; one that never answered has nothing to clean.
_LEAVE_S, _LEAVE_EARLY_S = 10.0, 1.0
#: From asking a command to end (SIGTERM) to ending it.
_TERMINATE_S = 3.0
#: Something takes no bytes at all for so long: it hangs.
_STALL_S = 120.0
#: The longest line of an answer; before the first answer, which is short, it is not our agent that talks so much. And the
#: most bytes behind one: what a target sends is held in this machine's memory.
_LONGEST, _LONGEST_FIRST, _MOST_BYTES = 1 << 30, 1 << 16, 1 << 33
_BLOCK = 1 << 20
#: The text for `python -c`: it runs what comes on its input up to an @. No newline, quote, backslash or exclamation
#: mark, which not all shells leave alone, and nothing that Python 2 does not know.
_FIRST = 'import os;exec(b"".join(iter(lambda:os.read(0,1)or os._exit(1),b"@")))'
#: Read by a Python that is older than the agent wants, so without anything that is newer than version 2.
_SECOND = """import os,sys
if sys.version_info<(3,9):
 sys.stdout.write('{{"error":{{"kind":"unsupported","message":"the Python of the target is '+sys.version.split()[0]+', the agent needs 3.9 or newer","why":"","hint":"install a newer one there, and name it with --target-python"}}}}\\n')
 sys.stdout.flush()
 sys.exit(1)
# A random.py in the current folder is not the library's.
sys.path[:]=[p for p in sys.path if p]
n={count}
b=b""
while len(b)<n:
 c=os.read(0,n-len(b))
 if not c: sys.exit(1)
 b+=c
sys.argv=["agent"]+[os.path.expanduser(p) for p in {launch!r}]
exec(compile(b,"agent.py","exec"),{{"__name__":"__agent__","SOURCE":b}})"""


def bootstrap(launch: Sequence[str] = ()) -> tuple[str, bytes]:
    """(the text for `python -c`, what must be sent first): an agent on a machine that has no file of ours.

    launch: what starts Python for the agent's children, where that is not the Python it runs in.
    """
    source = agent_source()
    second = _SECOND.format(count=len(source), launch=list(launch)).replace("@", "\\x40")
    return _FIRST, second.encode() + b"@" + source


class AgentSession:
    """command: starts an agent on its standard input and output. opening: sent before the first frame.
    explain: the error for a command that ended without an answer, from its exit code (None where it had to be stopped)
    and what it printed. terminal: it may ask for a password on the terminal, so it stays in the foreground there and has
    to see to Ctrl-C itself; else Ctrl-C comes here alone.

    Not for several threads. After any failure but the agent's own refusals the conversation is over: the command is
    stopped, and whatever else is asked fails in the same way.
    """

    def __init__(
        self, command: Sequence[str], explain: Callable[[int | None, str], MlpackError], opening: bytes = b"",
        environment: Mapping[str, str] | None = None, stage: Callable[[str], None] = lambda stage: None,
        terminal: bool = False,
    ) -> None:  # fmt: skip
        self._explain, self._stage = explain, stage
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the session
        self._held = bytearray()
        self._answered = self._silent = self._closed = False
        self._fault: MlpackError | None = None
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise,
                env=None if environment is None else {**os.environ, **environment}, bufsize=0,
                process_group=None if terminal else 0,
            )  # fmt: skip
        except OSError as fault:
            self._noise.close()
            raise IoFault(
                f"{command[0]} could not be started", "check that it is installed and on PATH",
                why=fault.strerror or str(fault),
            ) from fault  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        try:
            self._send(opening)
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, payload: bytes = b"", within: float | None = None, **fields: Any) -> tuple[Json, bytes]:
        """Send a frame and wait for the answer, no longer than `within` seconds: (the answer, the bytes with it).

        Raises the MlpackError that the agent sends, or `explain`'s where it ended, or WorkerFault where it kept silent.
        """
        if self._fault is not None:
            raise self._fault
        record = {"do": do, **fields}
        if payload:
            record["bytes"] = len(payload)
        try:
            self._send(json.dumps(record).encode() + b"\n", payload)
            deadline = None if within is None else time.monotonic() + within
            while True:
                found, block = self._read(deadline, within)
                self._answered = True
                if isinstance(found.get("stage"), str):
                    self._stage(found["stage"])
                elif (refusal := error_from_answer(found.get("error"))) is not None:
                    break
                elif isinstance(found.get("ok"), dict):
                    return found["ok"], block
                else:
                    self._babble(json.dumps(found))
        except KeyboardInterrupt:
            self._fault = Interrupted("interrupted", "start it again when you like")
            raise
        raise refusal

    def close(self) -> None:
        """End the input and wait until the agent has cleaned up; then make sure that it is gone."""
        if self._closed:
            return
        self._closed = True
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            until = time.monotonic() + (_LEAVE_S if self._answered else _LEAVE_EARLY_S)
            while not self._silent and self._ready(self._output, until - time.monotonic()):
                self._held.clear()
                self._take()
            if self._silent:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(max(0.0, until - time.monotonic()))
        finally:  # also at a second Ctrl-C
            self._stop()
            self._process.stdout.close()
            self._noise.close()
            self._fault = self._fault or WorkerFault("the conversation with the target is over", "open it again")

    def _send(self, *blocks: bytes) -> None:
        """What the agent says meanwhile is kept, so that neither waits for the other.

        An agent that has ended is judged by its end, when its answer is read.
        """
        for block in blocks:
            left = memoryview(block)
            while left:
                try:
                    left = left[os.write(self._input, left[:_BLOCK]) :]
                except BlockingIOError:
                    if not self._writable():
                        return
                except BrokenPipeError:
                    return

    def _writable(self) -> bool:
        """Wait until the agent takes more; False where it has ended."""
        until = time.monotonic() + _STALL_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._input, selectors.EVENT_WRITE)
            if len(self._held) < _BLOCK:
                selector.register(self._output, selectors.EVENT_READ)
            while True:
                ready = [key.fd for key, _ in selector.select(max(0.0, until - time.monotonic()))]
                if self._input in ready:
                    return True
                if not ready:
                    self._give_up(
                        WorkerFault(f"the target has taken nothing for {_STALL_S:g} s", "see whether it hangs")
                    )
                self._take()
                if self._silent or len(self._held) >= _BLOCK:
                    selector.unregister(self._output)
                if self._silent:
                    return False

    def _read(self, deadline: float | None, seconds: float | None) -> tuple[Json, bytes]:
        longest, seen = _LONGEST if self._answered else _LONGEST_FIRST, 0
        while (end := self._held.find(b"\n", seen)) < 0:
            seen = len(self._held)
            if seen > longest:
                self._babble(self._held[:200].decode("utf-8", "replace"))
            self._more(deadline, seconds)
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        try:
            record: Json = json.loads(line)
            wanted = int(record.get("bytes", 0))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            wanted = -1
        if not 0 <= wanted <= _MOST_BYTES:
            self._babble(line[:200].decode("utf-8", "replace"))
        pieces = []
        while wanted:
            if not self._held:
                self._more(deadline, seconds)
            piece = bytes(self._held[:wanted])
            del self._held[: len(piece)]
            wanted -= len(piece)
            pieces.append(piece)
        return record, b"".join(pieces)

    def _more(self, deadline: float | None, seconds: float | None) -> None:
        """Wait for more of the answer."""
        if not self._silent:
            if not self._ready(self._output, None if deadline is None else deadline - time.monotonic()):
                if self._held and not self._answered:
                    self._babble(self._held[:200].decode("utf-8", "replace"))
                self._give_up(WorkerFault(
                    f"the target gave no answer within {seconds:g} s", "see whether it is up, and what it is busy with",
                    why=self._printed()[-400:],
                ))  # fmt: skip
            self._take()
        if self._silent:
            code: int | None = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(_TERMINATE_S)
            self._give_up(self._explain(code, self._printed()))

    def _take(self) -> None:
        block = os.read(self._output, _BLOCK)
        self._held += block
        self._silent = not block

    @staticmethod
    def _ready(descriptor: int, seconds: float | None) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            return bool(selector.select(None if seconds is None else max(0.0, seconds)))

    def _printed(self) -> str:
        """What the command printed beside its answers, the last part of it."""
        self._noise.seek(max(0, self._noise.seek(0, os.SEEK_END) - 100_000))
        return self._noise.read().decode("utf-8", "replace").strip()

    def _babble(self, said: str) -> NoReturn:
        """A shell that greets on standard output spoils the conversation."""
        self._give_up(WorkerFault(
            "the target answered with something else than the agent's frames",
            "its shell may print on standard output at login: it must keep silent where no terminal is (.bashrc)",
            why=" ".join(said.split())[:200],
        ))  # fmt: skip

    def _give_up(self, fault: MlpackError) -> NoReturn:
        self._fault = fault
        self._stop()
        raise fault

    def _stop(self) -> None:
        """SIGTERM first: an agent cleans up, and ssh gives the terminal its echo back."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_TERMINATE_S)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                self._process.kill()
                self._process.wait()
