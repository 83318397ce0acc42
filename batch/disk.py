"""What a run does to the file system, one small operation at a time: the seam between the rules of a publication and the disk.

POSIX: bytes survive a power cut after `fsync` of their file, a name (made, linked, renamed, removed) after `fsync` of
its directory. Tests record the operations and lose what was not synced.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpack_edge.batch.exchange import exchange
from mlpack_edge.core.files import io_fault

#: What link(2) answers where a second name cannot be had: another file system, none with hard links, too many names.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Disk:
    """Every operation raises OSError; `faults` turns it into IoFault."""

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        path.mkdir(mode)

    def write(self, path: Path, blocks: Iterable[bytes]) -> None:
        """Make a file that was not there."""
        with path.open("xb") as stream:
            for block in blocks:
                stream.write(block)

    def link(self, source: Path, name: Path) -> None:
        """A second name for a file, or a copy of it where there can be none. Raises FileExistsError where `name` is taken."""
        try:
            os.link(source, name)
        except OSError as fault:
            if fault.errno not in _NO_LINK:
                raise
            with source.open("rb") as reader, name.open("xb") as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)

    def rename(self, source: Path, name: Path) -> None:
        """Atomic; a file or an empty directory that has the name is replaced."""
        source.rename(name)

    def exchange(self, a: Path, b: Path) -> None:
        """Each gets the other's name in one step."""
        exchange(a, b)

    def sync_file(self, path: Path) -> None:
        _sync(path, os.O_RDONLY)

    def sync_folder(self, path: Path) -> None:
        _sync(path, os.O_RDONLY | os.O_DIRECTORY)

    def remove_file(self, path: Path) -> None:
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        path.rmdir()


@contextmanager
def faults(message: str) -> Iterator[None]:
    """Operating-system errors inside become IoFault with `message`, why, and what to do."""
    try:
        yield
    except OSError as fault:
        named = f" ({fault.filename})" if fault.filename and str(fault.filename) not in message else ""
        raise io_fault(fault, message + named) from fault


def write_whole(disk: Disk, path: Path, content: bytes) -> None:
    """The file has the old content or the new one, whatever happens; the new one when this returns."""
    draft = path.with_name(f".{path.name}.part")
    if os.path.lexists(draft):  # of a process that was killed: whoever writes here holds the lock
        disk.remove_file(draft)
    disk.write(draft, [content])
    disk.sync_file(draft)
    disk.rename(draft, path)
    disk.sync_folder(path.parent)


def remove_tree(disk: Disk, path: Path) -> None:
    """Remove a file, or a folder and all it holds; no link is followed; nothing there is no error."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        disk.remove_file(path)
        return
    with os.scandir(path) as entries:
        inside = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, folder in inside:
        if folder:
            remove_tree(disk, path / name)
        else:
            disk.remove_file(path / name)
    disk.remove_folder(path)


def sync_tree(disk: Disk, path: Path) -> None:
    """Sync every file under a folder, then the folders from the innermost out."""
    with os.scandir(path) as entries:
        inside = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, folder in inside:
        if folder:
            sync_tree(disk, path / name)
        else:
            disk.sync_file(path / name)
    disk.sync_folder(path)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
