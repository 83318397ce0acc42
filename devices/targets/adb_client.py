"""The user's own `adb` client: the one place where it is started."""

from __future__ import annotations

import contextlib
import selectors
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from mlpack_edge.core.errors import Interrupted, MissingExtra, WorkerFault


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended: its exit code and what it printed, in one stream."""

    code: int
    text: str


class Held(Protocol):
    """A command that runs until its input ends. `line`: the first it printed, "" where it ended without one."""

    line: str

    def release(self, seconds: float) -> bool:
        """End its input and wait: whether it ended in time."""
        ...


class Client(Protocol):
    """Runs `adb` with the words given, without the word adb itself."""

    def run(self, words: Sequence[str], seconds: float) -> Ended:
        """Raises WorkerFault where it does not end in time, Interrupted at Ctrl-C."""
        ...

    def hold(self, words: Sequence[str], seconds: float) -> Held: ...


class AdbClient:
    """`adb` on PATH, with the user's own settings (ADB_SERVER_SOCKET, ANDROID_ADB_SERVER_PORT, keys).

    Each runs in a session of its own: Ctrl-C is for us to pass on, so that the device can still be tidied up.
    """

    def run(self, words: Sequence[str], seconds: float) -> Ended:
        # Output goes to a file, not a pipe: the server that the first command starts inherits it, and outlives it.
        with tempfile.TemporaryFile() as printed:
            process = _started(words, subprocess.DEVNULL, printed)
            try:
                code = process.wait(seconds)
            except KeyboardInterrupt as stop:
                raise Interrupted(
                    "interrupted", "nothing is left on the device; start it again when you like"
                ) from stop
            except subprocess.TimeoutExpired as late:
                raise WorkerFault(
                    f"adb {words[0] if words[0] != '-s' else words[2]} did not end within {seconds:g} s",
                    "see whether the device answers (adb devices), or give it longer with --time-limit",
                ) from late
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            printed.seek(0)
            return Ended(code, printed.read().decode("utf-8", "replace"))

    def hold(self, words: Sequence[str], seconds: float) -> Held:
        process = _started(words, subprocess.PIPE, subprocess.PIPE)
        try:
            return _HeldCommand(process, seconds)
        except BaseException:
            process.kill()
            process.wait()
            raise


class _HeldCommand:
    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._process = process
        self.line = _first_line(process, seconds)

    def release(self, seconds: float) -> bool:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True


def _started(words: Sequence[str], stdin: int, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            ["adb", *words], stdin=stdin, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    except FileNotFoundError as fault:
        raise MissingExtra(
            "adb is not installed",
            "install Android's platform tools and have adb on PATH (Debian: apt install adb; macOS: brew install "
            "android-platform-tools)",
        ) from fault


def _first_line(process: subprocess.Popen[bytes], seconds: float) -> str:
    """What it prints up to the first end of a line, or up to its end."""
    assert process.stdout is not None
    deadline, held = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"\n" not in held and (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            block = process.stdout.read1()  # type: ignore[attr-defined]  # Popen's pipes are buffered readers
            if not block:
                break
            held += block
    return held.partition(b"\n")[0].decode("utf-8", "replace").strip()
