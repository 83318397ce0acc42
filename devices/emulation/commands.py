"""Run the tools that setup needs (apt-get, dpkg-deb, pip, cc, qemu): quiet, in one language, with their last words kept."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which Ctrl-C is acted on at the latest.
_STRETCH = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    """code: as `subprocess` gives it, negative for a signal; 127 where the tool is not there."""

    code: int
    out: str
    err: str

    @property
    def last_words(self) -> str:
        """The line that says what went wrong: the first `E:` or `error:`, else the last that was printed."""
        lines = [line.strip() for line in (self.err + "\n" + self.out).splitlines() if line.strip()]
        marked = [line for line in lines if line.startswith("E:") or "error:" in line.lower()]
        return (marked or lines[-1:] or [""])[0][:400]

    def mend(self, otherwise: str) -> str:
        """What to do next: about the disk where the disk was the reason."""
        full = re.search(
            r"No space left|Disk quota|File too large|Read-only file|Permission denied", self.err + self.out
        )
        return "free some space there, or name another folder with MLPACK_DATA_DIR" if full else otherwise


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep_open: Sequence[int] = (),
    seconds: float = 1800.0,
) -> Finished:
    """Run to the end. environment: the whole of it; by default this process's own, with messages in English.

    keep_open: file descriptors that the child inherits (a lock is then held as long as the child lives).
    A tool that is not there, or does not end in time, is a `Finished` with a code other than 0, not an exception.
    """
    whole = {**os.environ, "LC_ALL": "C.UTF-8"} if environment is None else dict(environment)
    try:
        # A group of its own: dpkg-deb and apt-get have children, and one of them writing on would undo a clean-up.
        child = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=whole,
            cwd=folder, pass_fds=tuple(keep_open), process_group=0,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError) as fault:
        return Finished(127, "", f"{command[0]}: {fault.strerror}")
    try:
        out, err = _output(child, time.monotonic() + seconds)
    except subprocess.TimeoutExpired:
        _end(child)
        return Finished(-9, "", f"{command[0]}: no end after {seconds:g} s")
    except BaseException:
        _end(child)
        raise
    return Finished(child.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def _output(child: subprocess.Popen[bytes], end: float) -> tuple[bytes, bytes]:
    """What it prints until it ends; TimeoutExpired at `end`.

    Waited for in short stretches: a Ctrl-C that arrives just before the process begins to wait interrupts no wait, and
    Python acts on it only when that wait is over.
    """
    while True:
        try:
            return child.communicate(timeout=max(0.0, min(_STRETCH, end - time.monotonic())))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= end:
                raise


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the tool and its children, and wait until the last of them has let go of its pipes: nobody writes after."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.communicate(timeout=10)
