"""Rows of .npy files and of the arrays of .npz files, read piece by piece and never loaded whole."""

from __future__ import annotations

import io
import math
import tempfile
import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.data import HINT, Table, damaged

Array = NDArray[Any]
_BLOCK = 1 << 20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class StoredArray:
    """One array in numpy's own format (NEP 1): a .npy file, or a member of an .npz file, stored or compressed.

    Raises BadInput where the header says what the file does not hold, or holds Python objects.
    """

    def __init__(self, path: Path, member: str | None = None) -> None:
        self.path, self.member = path, member
        self._unpacked: IO[bytes] | None = None
        with _faults(path), self._open() as (stream, size):
            version = np.lib.format.read_magic(stream)
            if version not in _HEADERS:
                raise BadInput(f"{path} is of version {version} of numpy's format", "save it again with numpy.save")
            self.shape, self._by_column, self.dtype = _HEADERS[version](stream)
            self._offset = stream.tell()
        if self.dtype.hasobject:
            raise BadInput(f"{path} holds Python objects, which could run code", HINT)
        if math.prod(self.shape) * self.dtype.itemsize > size - self._offset:
            raise BadInput(f"{path} is cut off: it should hold an array of {list(self.shape)} {self.dtype}", HINT)

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 0

    def whole(self) -> Array:
        """The array as numpy.load gives it."""
        with _faults(self.path), self._open() as (stream, _):
            array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array

    def pieces(self, rows: int) -> Iterator[Array]:
        """`rows` rows at a time, the last piece perhaps shorter; each is a copy of its own."""
        if self._by_column and len(self.shape) > 1:
            yield from self._of_columns(rows)
            return
        with self._open() as (stream, _):
            with _faults(self.path):
                _skip(stream, self._offset)
            for start in range(0, self.rows, rows):
                shape = (min(rows, self.rows - start), *self.shape[1:])
                with _faults(self.path):
                    filled = _filled(stream, math.prod(shape) * self.dtype.itemsize)
                    piece: Array = np.frombuffer(filled, self.dtype).reshape(shape)
                yield piece

    def _of_columns(self, rows: int) -> Iterator[Array]:
        """Of an array stored column by column (Fortran order), whose rows lie apart: through a map of the file, opened for
        each piece so that what was read counts no longer as memory of the process. A member is unpacked to disk once."""
        for start in range(0, self.rows, rows):
            with _faults(self.path):
                source = self.path if self.member is None else self._unpack()
                mapped = np.memmap(source, self.dtype, "r", self._offset, self.shape, "F")
                piece = np.array(mapped[start : start + rows], order="C")
                del mapped
            yield piece

    def _unpack(self) -> IO[bytes]:
        if self._unpacked is None:
            spare = tempfile.TemporaryFile()  # noqa: SIM115  (goes with this object)
            weakref.finalize(self, spare.close)
            with self._open() as (stream, size):
                try:
                    while block := stream.read(_BLOCK):
                        spare.write(block)
                    spare.flush()
                except OSError as fault:
                    raise io_fault(
                        fault, f"{self.path}: {size:,} bytes have to be unpacked into {tempfile.gettempdir()}"
                    ) from fault
            self._unpacked = spare
        return self._unpacked

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], int]]:
        """The bytes of the array, header included, and how many there are."""
        if self.member is None:
            with self.path.open("rb") as stream:
                size = stream.seek(0, io.SEEK_END)
                stream.seek(0)
                yield stream, size
        else:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as member:
                yield member, archive.getinfo(self.member).file_size


def members_of(path: Path) -> dict[str, StoredArray]:
    """The arrays of an .npz file by name; members that are no arrays are left out."""
    with _faults(path), zipfile.ZipFile(path) as archive:
        named = [name for name in archive.namelist() if name.endswith(".npy")]
    return {name.removesuffix(".npy"): StoredArray(path, name) for name in named}


class StoredArrays:
    """Several arrays as `Source`: those named `cut` have a part for each row, the others go whole with every piece."""

    def __init__(self, path: Path, arrays: Mapping[str, StoredArray], cut: frozenset[str]) -> None:
        self.path, self._cut = path, {name: array for name, array in arrays.items() if name in cut and array.shape}
        self._whole = {name: array.whole() for name, array in arrays.items() if name not in self._cut}
        counts = {name: array.rows for name, array in self._cut.items()}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{name!r} {count}" for name, count in counts.items())
            raise BadInput(f"{path} has different numbers of rows: {said}", "give each input the same number of rows")
        #: Without anything that has a part for each row, the whole is one row.
        self.rows = next(iter(counts.values()), 1)
        empty = {name: np.empty((0, *array.shape[1:]), array.dtype) for name, array in self._cut.items()}
        self.head = Table(path, {}, {name: empty[name] if name in empty else self._whole[name] for name in arrays})

    def pieces(self, rows: int) -> Iterator[Table]:
        """Tables of `rows` rows."""
        if not self._cut:
            yield self.head
            return
        for start, parts in _together(self._cut, rows):
            yield Table(
                self.path, {}, {name: parts.get(name, whole) for name, whole in self.head.arrays.items()}, start
            )


class Source(Protocol):
    """What a data file is cut into. rows: of the whole file. head: a table without a row that has every name and dtype."""

    rows: int
    head: Table

    def pieces(self, rows: int) -> Iterator[Table]:
        """Tables of about `rows` rows in the order of the file, from its first row on each call."""
        ...


def _together(arrays: Mapping[str, StoredArray], rows: int) -> Iterator[tuple[int, dict[str, Array]]]:
    with ExitStack() as stack:
        streams: Sequence[Any] = [array.pieces(rows) for array in arrays.values()]
        for stream in streams:
            stack.callback(stream.close)
        for index, parts in enumerate(zip(*streams, strict=True)):
            yield index * rows, dict(zip(arrays, parts, strict=True))


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0:
        block = stream.read(min(count, _BLOCK))
        if not block:
            raise EOFError("the array ends in its header")
        count -= len(block)


def _filled(stream: IO[bytes], count: int) -> bytearray:
    held = bytearray(count)
    view, at = memoryview(held), 0
    while at < count:
        got = stream.readinto(view[at : at + _BLOCK])  # type: ignore[attr-defined]
        if not got:
            raise EOFError(f"the array ends {count - at:,} bytes early")
        at += got
    return held


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as fault:
        raise damaged(path, fault) from fault
