"""Files appear whole or not at all: written beside their name, synced, renamed into place."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpack_edge.core.errors import BadInput, IoFault, MlpackError, OutputExists


def refuse_existing(path: Path, force: bool) -> None:
    """Raise before any work is done where the output could not be put (OutputExists, BadInput, IoFault)."""
    try:
        if path.is_dir():
            raise BadInput(f"{path} is a directory", "name a file")
        if os.path.lexists(path) and not force:
            raise OutputExists(f"{path} exists", "name another file, or overwrite it with --force")
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is no regular file", "name another file")
        if path.parent.exists() and not path.parent.is_dir():
            raise BadInput(f"{path.parent} is a file, no directory", "name another file")
        if not path.parent.is_dir():
            raise IoFault(f"the directory {path.parent} does not exist", f"mkdir -p {path.parent}")
    except OSError as fault:  # a name that is too long, a folder that may not be entered
        raise io_fault(fault, f"{path} could not be written") from fault
    if not os.access(path.parent, os.W_OK):
        raise IoFault(f"the directory {path.parent} cannot be written to", "name a file in another directory")


@contextmanager
def publish(path: Path, force: bool) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without an error it is synced and renamed to `path`.

    On any error the temporary file is removed and `path` is what it was before. Without `force` an output that
    appeared in the meantime is kept and OutputExists raised. Other operating-system errors become IoFault.
    """
    refuse_existing(path, force)
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        yield draft
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        if force:
            draft.replace(path)
        else:
            _rename_to_free_name(draft, path)
        _sync_directory(path.parent)
    except FileExistsError as fault:
        raise OutputExists(f"{path} appeared meanwhile", "name another file, or use --force") from fault
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be written") from fault
    finally:
        draft.unlink(missing_ok=True)


def io_fault(fault: OSError, message: str) -> MlpackError:
    """The clear form of an operating-system error."""
    hints = {
        errno.ENOSPC: "free some space on that file system, or write elsewhere",
        errno.EDQUOT: "the quota is used up: free some space, or write elsewhere",
        errno.EACCES: "check the permissions of the file and its directory",
        errno.EPERM: "check the permissions of the file and its directory",
        errno.ENAMETOOLONG: "choose a shorter name",
        errno.EROFS: "the file system is read-only: write elsewhere",
        errno.ENOENT: "check the path",
    }
    why = fault.strerror or str(fault)
    return IoFault(message, hints.get(fault.errno or 0, "check the path and the disk"), why=why)


def _rename_to_free_name(draft: Path, path: Path) -> None:
    """Rename, or raise FileExistsError: a hard link never overwrites, and one of the two names goes afterwards.

    Where the file system has no hard links (FAT on memory cards, some network shares), the name is taken first by an
    empty file, which the rename replaces.
    """
    try:
        os.link(draft, path)
    except OSError as fault:
        if fault.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        path.touch(exist_ok=False)
        try:
            draft.replace(path)
        except OSError:
            path.unlink()
            raise


def _sync_directory(directory: Path) -> None:
    """Make the rename itself survive a power cut (POSIX: a directory entry is its directory's data)."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
