"""Temporary folders that are gone afterwards, also where their process had no time to remove them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX, _LOCK, _EARLY = "mlpack-scratch-", "lock", "lock.early"


@contextlib.contextmanager
def scratch_folder(beside: Path | None = None) -> Iterator[str]:
    """The path of an empty folder, removed on leaving. The next call removes what a killed process (SIGKILL, power) left.

    beside: a file in whose folder it is made, under a hidden name, so that what is made there can be renamed to the file;
    None for the system's own place. A folder is locked while its process lives, so that nobody else removes it (flock(2)).
    Raises OSError.
    """
    parent, prefix = (
        (tempfile.gettempdir(), _PREFIX) if beside is None else (str(beside.absolute().parent), f".{_PREFIX}")
    )
    _remove_abandoned(Path(parent), prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as made:
        folder = Path(made)
        lock = os.open(folder / _EARLY, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: then nobody else can lock it either
                fcntl.flock(lock, fcntl.LOCK_EX)
            # It gets its name once it is held: nobody sees a free lock while its process lives.
            (folder / _EARLY).rename(folder / _LOCK)
            (folder / "files").mkdir()
            yield str(folder / "files")
        finally:
            os.close(lock)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        # Another process may remove the same folder at the same time.
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
                _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
