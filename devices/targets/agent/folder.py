"""The agent's folder on the target: it goes when the agent ends, and those of agents that were killed go with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import tempfile

_PREFIX, _LOCK = "mlpack-agent-", "lock"
#: What asks an agent to end; it cleans up first.
ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Folder:
    """A folder for temporary files, locked while its agent lives."""

    def __init__(self) -> None:
        self.path = ""

    def make(self) -> str:
        """Its path. Raises OSError where there is no room for one."""
        # A signal between making the folder and knowing its name would leave it behind.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            self.path = os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = _locked(self.path)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        return self.path

    def remove(self) -> None:
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove the folders of this user's agents that had no time to: the power went, or SIGKILL came."""
    parent = tempfile.gettempdir()
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        if name.startswith(_PREFIX):
            # Another agent may remove the same folder at the same time.
            with contextlib.suppress(OSError):
                found = os.lstat(path)
                if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                    _remove_unlocked(path)


def _remove_unlocked(path: str) -> None:
    lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


def _locked(path: str) -> int:
    """The lock gets its name once it is held: nobody sees one that is free while its agent lives."""
    early = os.path.join(path, "lock.early")
    lock = os.open(early, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with contextlib.suppress(OSError):  # a file system without locks: then nobody else can lock it either
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(early, os.path.join(path, _LOCK))
    return lock
