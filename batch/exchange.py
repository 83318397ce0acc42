"""Two directories exchange their names in one step, so that a reader finds the old table or the new one.

Linux renameat2(2) with RENAME_EXCHANGE: since Linux 3.15, on ext4, XFS, Btrfs, tmpfs, overlayfs and others; not on NFS,
FAT or most network shares, which answer EINVAL.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(a: Path, b: Path) -> None:
    """Both must exist on one file system. Raises OSError; ENOSYS where the C library does not know the call."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(a))
    if libc.renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(a), None, str(b))


def can_exchange(folder: Path, exchange: Callable[[Path, Path], None] = exchange) -> bool:
    """Whether the file system of `folder` (which is writable) can. Tried with two folders that go again at once."""
    pair = [folder / f".exchange-{name}" for name in "ab"]
    for path in pair:
        path.mkdir(exist_ok=True)
    try:
        exchange(*pair)
    except OSError as fault:
        if fault.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            return False
        raise
    finally:
        for path in pair:
            path.rmdir()
    return True
