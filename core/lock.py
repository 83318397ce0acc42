"""One run at a time for an output: an advisory lock (flock(2)) on a file that may stay.

The kernel gives the lock up when its holder ends, however it ends, so a file that is left over blocks nobody. Only its holder
may remove it, while it holds it: whoever locks a file looks afterwards whether that still has the name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from mlpack_edge.core.errors import IoFault
from mlpack_edge.core.files import io_fault

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
#: A holder writes its name right after it has the lock.
_NAMES_ITSELF_WITHIN = 0.5


class Lock:
    """Held from the making until `release`; leave it through `with`. Processes that are started do not inherit it."""

    def __init__(self, path: Path, subject: str, clock: Callable[[], float] = time.time) -> None:
        """subject: what is locked, for messages.

        Raises IoFault where another process holds it (saying which, and since when), where the file cannot be made, or
        where the file system keeps no locks.
        """
        self.path = path
        self._handle = _locked(path, subject)
        started = datetime.fromtimestamp(clock(), UTC).isoformat(timespec="seconds")
        record = {"host": socket.gethostname(), "pid": os.getpid(), "started": started}
        try:
            os.truncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(record).encode() + b"\n", 0)
        except OSError as fault:  # a full disk: nothing else could be written either
            self._close()
            raise io_fault(fault, f"{path} could not be written") from fault
        _HELD.add(self)

    def release(self) -> None:
        """Give it up; the file stays, empty."""
        if self._handle >= 0:
            os.truncate(self._handle, 0)
            self._close()

    def _close(self) -> None:
        """Without unlocking: in a forked child that would take the lock from its parent."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_HELD: weakref.WeakSet[Lock] = weakref.WeakSet()


def _forget_in_child() -> None:
    for lock in list(_HELD):
        lock._close()


# Programs that are started lose the handle at exec (PEP 446); a forked Python would keep the lock alive.
os.register_at_fork(after_in_child=_forget_in_child)


def _locked(path: Path, subject: str) -> int:
    """The handle of the file that has the name, locked."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as fault:
            raise io_fault(fault, f"{path} could not be opened, which keeps two runs of {subject} apart") from fault
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _has_name(handle, path):
                return handle
        except OSError as fault:
            os.close(handle)
            if fault.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
                raise _held(path, subject) from fault
            if fault.errno in _NO_LOCKS:
                raise IoFault(
                    f"the file system of {path.parent} keeps no locks, so two runs of {subject} could not be kept apart",
                    "put the output on a local disk", why=fault.strerror or "",
                ) from fault  # fmt: skip
            raise io_fault(fault, f"{path} could not be locked") from fault
        os.close(handle)  # somebody removed the folder between opening and locking: lock the file that is there now


def _has_name(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _held(path: Path, subject: str) -> IoFault:
    """Who holds it. The name of an earlier holder, or none, stands there for a moment after the lock is taken."""
    deadline = time.monotonic() + _NAMES_ITSELF_WITHIN
    while True:
        record: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record, dict) and {"host", "pid", "started"} <= set(record) and _lives(record):
            break
        record = {}
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    if not record:
        return IoFault(
            f"another process is writing {subject} already",
            f"wait until it is done; `fuser {path}` tells which it is",
        )
    return IoFault(
        f"another run is writing {subject} already: process {record['pid']} on {record['host']}, since {record['started']}",
        "wait until it is done, or stop that process; nothing has to be removed by hand", holder=record,
    )  # fmt: skip


def _lives(record: dict[str, object]) -> bool:
    """Whether the process can be the holder; of another host it is not known."""
    if record["host"] != socket.gethostname():
        return True
    try:
        os.kill(int(str(record["pid"])), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True
