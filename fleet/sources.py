"""The report files that are read: which, whether they are still being written, and their removal. Standard library alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.core.files import io_fault
from mlpack_edge.fleet.cutting import AHEAD, pieces
from mlpack_edge.fleet.layout import QUARANTINE

#: Names under which uploads are written until they are complete: hidden ones (rsync), and those that end so.
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".upload")
#: A file that changed within so many seconds may still be written to.
SETTLED = 60.0
_BLOCK = 8 << 20


class Unreadable(IoFault):
    """One of many files could not be read; the others may be."""


@dataclass(slots=True)
class Source:
    """A file that is read. young: it changed a moment ago; whole: all of it was read, and it had not changed meanwhile."""

    path: Path
    young: bool = False
    whole: bool = False
    identity: tuple[int, ...] = ()


def files(given: Sequence[Path], store: Path) -> Iterator[Path]:
    """The files that are named, and those in the directories that are named, at any depth, in the order of their names.

    Left out: symbolic links, whatever is neither file nor directory, hidden names, unfinished names, and of a file its other
    kinds: the `.jsonl` that a quarantine keeps beside its reports. Raises BadInput where a directory holds the store, IoFault.
    """
    inside = store.resolve()
    for path in given:
        try:
            mode = path.stat().st_mode
        except OSError as fault:
            raise io_fault(fault, f"{path} could not be read") from fault
        if not stat.S_ISDIR(mode):
            if not stat.S_ISREG(mode):
                raise BadInput(f"{path} is neither file nor directory", "name report files, or a directory of them")
            yield path
            continue
        here = path.resolve()
        if (
            inside == here
            or here in inside.parents
            or (inside in here.parents and here.parts[len(inside.parts)] != QUARANTINE)
        ):
            raise BadInput(
                f"the store {store} and what is read lie in one another", "keep uploads and store in directories of their own"
            )  # fmt: skip
        yield from _below(path)


def _below(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as fault:
        raise io_fault(fault, f"{folder} could not be read") from fault
    for entry in entries:
        if entry.name.startswith(".") or entry.name.endswith((*UNFINISHED, ".jsonl")):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def read(source: Source, now: float, settled: float, named: bool = False) -> Iterator[tuple[int, bytes, bool]]:
    """(offset, bytes, sealed) of every piece of the file (`cutting.pieces`), in order. Afterwards `source` says what is known of the file.

    now: seconds since 1970; settled: seconds without a change after which a file is complete. A file that vanished meanwhile
    has no pieces. Raises Unreadable.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if named else os.O_NOFOLLOW)
    try:
        handle = os.open(source.path, flags)
    except FileNotFoundError:
        return
    except OSError as fault:
        raise _unreadable(source.path, fault) from fault
    try:
        found = os.fstat(handle)
        source.identity = _identity(found)
        source.young = abs(now - found.st_mtime) < settled
        offset, data, ends = 0, b"", not stat.S_ISREG(found.st_mode)
        while not ends:
            block = os.read(handle, max(_BLOCK, AHEAD) if found.st_size > _BLOCK else found.st_size + 1)
            ends = not block or (not offset and not data and len(block) == found.st_size)
            data += block
            at = 0
            for start, stop, sealed in pieces(data, ends):
                yield offset + start, data[start:stop], sealed
                at = stop
            offset, data = offset + at, data[at:]
        source.whole = _identity(os.fstat(handle)) == source.identity
    except OSError as fault:
        raise _unreadable(source.path, fault) from fault
    finally:
        os.close(handle)


def remove(source: Source) -> bool:
    """Remove a file that was read whole, had settled, and is still the one that was read; whether it is gone."""
    if source.young or not source.whole:
        return False
    try:
        if _identity(source.path.lstat()) != source.identity:
            return False
        source.path.unlink()
    except FileNotFoundError:
        return True
    except OSError as fault:
        raise io_fault(fault, f"{source.path} was read and stored, but could not be removed") from fault
    return True


def _unreadable(path: Path, fault: OSError) -> Unreadable:
    known = io_fault(fault, f"{path} could not be read")
    return Unreadable(known.message, known.hint, why=known.why)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
