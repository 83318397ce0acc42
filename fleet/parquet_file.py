"""Writes the Parquet files of the table: columns of integers, bytes and lists of one length, required but for one kind.

Arrow's writer spends 20 us on the repetition levels of a list of 3,000 counters, one by one; in lists of one length they are two
runs a row. What is written is plain Parquet (format 2.10: data pages of version 1, zstd, byte stream split for lists), with
Arrow's own schema beside it, by which pyarrow and Polars know the length of the lists.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow
from numpy.typing import NDArray

from mlpack_edge.fleet.thrift import (
    BINARY,
    I32,
    STRUCT,
    byte,
    i32,
    i64,
    inner,
    listed,
    string,
    struct,
    text,
    truth,
    varint,
)

_MAGIC = b"PAR1"
_INT32, _INT64, _BYTES, _FIXED = 1, 2, 6, 7
_REQUIRED, _OPTIONAL, _REPEATED = 0, 1, 2
_PLAIN, _RLE, _SPLIT = 0, 3, 9
_ZSTD = 6
_UTF8, _LISTED, _UNSIGNED = 0, 3, {8: 11, 32: 13}
#: Values of a page of lists: 4 MB as they are in memory.
_PAGE = 1 << 19

Column = Sequence[bytes | None] | NDArray[Any]


class TableWriter:
    """Writes row groups of one schema; leave it through `with`, which writes the footer.

    Columns are given as the field's type has it: binary and string as sequences of bytes (None where nullable), integers as
    arrays `[rows]`, lists as arrays `[rows, length]` of any integer type.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        """schema: of pyarrow, with fields of binary (any or one length), string, int64, uint8, uint32, and lists of one
        length of int64; nullable may be binary alone. Raises OSError."""
        self._schema = schema
        self._codec = pyarrow.Codec("zstd", compression_level=1)
        self._frames: dict[int, bytes] = {}
        self._groups: list[bytes] = []
        self._rows = 0
        self._file = path.open("wb")
        self._at = 0
        self._put(_MAGIC)

    def write(self, columns: Mapping[str, Column]) -> None:
        """One row group. Raises OSError."""
        rows = len(next(iter(columns.values())))
        chunks, size, start = [], 0, self._at
        for field in self._schema:
            chunk, bare = self._chunk(field, columns[field.name])
            chunks.append(chunk)
            size += bare
        self._rows += rows
        self._groups.append(
            struct(listed(1, STRUCT, chunks), i64(2, size), i64(3, rows), i64(5, start), i64(6, self._at - start))
        )

    def close(self) -> None:
        """Write the footer. Raises OSError."""
        shape = base64.b64encode(self._schema.serialize().to_pybytes())
        root = struct((4, BINARY, string("schema")), i32(5, len(self._schema)))
        elements = [root, *(element for field in self._schema for element in _elements(field))]
        footer = struct(
            i32(1, 2),
            listed(2, STRUCT, elements),
            i64(3, self._rows),
            listed(4, STRUCT, self._groups),
            listed(5, STRUCT, [struct(text(1, "ARROW:schema"), text(2, shape))]),
            text(6, "mlpack-edge"),
        )
        self._put(footer + len(footer).to_bytes(4, "little") + _MAGIC)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        self._file.close()

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self._at += len(content)

    def _zeros(self, count: int) -> bytes:
        """A zstd frame of so many zero bytes; what is compressed may be several frames (RFC 8878, 3.1)."""
        if count and count not in self._frames:
            self._frames[count] = self._codec.compress(bytes(count), asbytes=True)
        return self._frames.get(count, b"")

    def _chunk(self, field: Any, column: Column) -> tuple[bytes, int]:
        """Write the pages of a column; its ColumnChunk, and its size before compression."""
        start, bare, values = self._at, 0, 0
        pages = _pages_of_lists(column) if _is_list(field) else [(_flat(field, column), 0, len(column))]
        encoding = _SPLIT if _is_list(field) else _PLAIN
        for body, zeros, count in pages:
            packed = self._codec.compress(body, asbytes=True) + self._zeros(zeros)
            size = len(body) + zeros
            counts = struct(i32(1, count), i32(2, encoding), i32(3, _RLE), i32(4, _RLE))
            head = struct(i32(1, 0), i32(2, size), i32(3, len(packed)), inner(5, counts))
            self._put(head)
            self._put(packed)
            bare += len(head) + size
            values += count
        path = [field.name, "list", "element"] if _is_list(field) else [field.name]
        described = struct(
            i32(1, _physical(field)),
            listed(2, I32, [varint(encoding << 1), varint(_RLE << 1)]),
            listed(3, BINARY, map(string, path)),
            i32(4, _ZSTD),
            i64(5, values),
            i64(6, bare),
            i64(7, self._at - start),
            i64(9, start),
        )
        return struct(i64(2, start), inner(3, described)), bare


def _is_list(field: Any) -> bool:
    return bool(pyarrow.types.is_fixed_size_list(field.type))


def _physical(field: Any) -> int:
    if pyarrow.types.is_fixed_size_binary(field.type):
        return _FIXED
    if pyarrow.types.is_binary(field.type) or pyarrow.types.is_string(field.type):
        return _BYTES
    return _INT32 if pyarrow.types.is_unsigned_integer(field.type) else _INT64


def _elements(field: Any) -> list[bytes]:
    """SchemaElements of a field; of a list its three levels."""
    if _is_list(field):
        length = i32(1, _INT64)
        return [
            struct(i32(3, _REQUIRED), text(4, field.name), i32(5, 1), i32(6, _LISTED), inner(10, struct(inner(3, struct())))),
            struct(i32(3, _REPEATED), text(4, "list"), i32(5, 1)),
            struct(length, i32(3, _REQUIRED), text(4, "element")),
        ]  # fmt: skip
    said = [i32(1, _physical(field))]
    if pyarrow.types.is_fixed_size_binary(field.type):
        said.append(i32(2, field.type.byte_width))
    said += [i32(3, _OPTIONAL if field.nullable else _REQUIRED), text(4, field.name)]
    if pyarrow.types.is_string(field.type):
        said += [i32(6, _UTF8), inner(10, struct(inner(1, struct())))]
    elif pyarrow.types.is_unsigned_integer(field.type):
        bits = field.type.bit_width
        said += [i32(6, _UNSIGNED[bits]), inner(10, struct(inner(10, struct(byte(1, bits), truth(2, False)))))]
    return [struct(*said)]


def _flat(field: Any, column: Column) -> bytes:
    """A page of plain values, before them the definition levels where the field is nullable."""
    if isinstance(column, np.ndarray):
        return column.astype("<u4" if _physical(field) == _INT32 else "<i8").tobytes()
    there = [value for value in column if value is not None]
    values = b"".join(
        there if _physical(field) == _FIXED else [len(value).to_bytes(4, "little") + value for value in there]
    )
    if not field.nullable:
        return values
    levels = b"".join(_run(length, level) for length, level in _runs([value is not None for value in column]))
    return len(levels).to_bytes(4, "little") + levels + values


def _runs(levels: Sequence[bool]) -> list[tuple[int, int]]:
    """(length, level) of stretches of the same level."""
    given = np.array(levels, np.int8)
    cuts = [0, *(np.flatnonzero(np.diff(given)) + 1).tolist(), len(given)]
    return [(stop - start, int(given[start])) for start, stop in itertools.pairwise(cuts) if stop > start]


def _run(length: int, level: int) -> bytes:
    """A run of levels of one bit (Parquet's RLE and bit packing hybrid)."""
    return varint(length << 1) + bytes([level])


def _pages_of_lists(column: Any) -> list[tuple[bytes, int, int]]:
    """(page, zero bytes behind it, values) of lists of one length, int `[rows, length]`: a row begins with a repetition level of 0, the
    others are 1."""
    rows, length = column.shape
    each = max(1, _PAGE // length)
    row = _run(1, 0) + (_run(length - 1, 1) if length > 1 else b"")
    found = []
    for at in range(0, rows, each):
        part = column[at : at + each]
        repetition, definition = row * len(part), _run(part.size, 1)
        levels = [len(level).to_bytes(4, "little") + level for level in (repetition, definition)]
        planes = _split(part)
        found.append((b"".join([*levels, *planes]), part.size * (8 - len(planes)), part.size))
    return found


def _split(values: NDArray[Any]) -> list[bytes]:
    """Byte stream split of 64-bit integers: all lowest bytes, then all second ones, and so on; without those that no value has."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype != np.uint16:
        planes = np.ascontiguousarray(flat.astype("<i8").view(np.uint8).reshape(-1, 8).T)
        return [plane.tobytes() for plane in planes]
    return [(flat & 0xFF).astype(np.uint8).tobytes(), (flat >> 8).astype(np.uint8).tobytes()]
