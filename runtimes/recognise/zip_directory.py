"""The names in a zip archive's central directory, and nothing else: no member is read or decompressed."""

from __future__ import annotations

import struct
from typing import BinaryIO

from mlpack_edge.core.errors import BadInput

#: A PyTorch checkpoint of 50,000 tensors has a directory of about 5 MB.
MAX_DIRECTORY_BYTES = 16 << 20
_END, _END64, _LOCATOR64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"


def zip_names(stream: BinaryIO, size: int) -> list[str]:
    """The member names of a zip archive of `size` bytes, in the order of its directory (APPNOTE.TXT 6.3.10, 4.3.12).

    Raises BadInput (without the file's name) where the directory is missing, damaged or above MAX_DIRECTORY_BYTES.
    """
    reach = min(size, 22 + 65535)
    stream.seek(size - reach)
    tail = stream.read(reach)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < 22:
        raise BadInput(
            "the zip archive has no directory at its end: it is cut short",
            "copy or download it again, and compare sizes",
        )
    count, length, start = struct.unpack_from("<HII", tail, end + 10)
    if 0xFFFFFFFF in (length, start) or count == 0xFFFF:
        count, length, start = _zip64(stream, size - reach + end) or (count, length, start)
    if length > MAX_DIRECTORY_BYTES:
        raise BadInput(
            f"the zip archive has a directory of {length:,} bytes; {MAX_DIRECTORY_BYTES:,} are the most mlpack reads",
            "a model has some thousand members at most: make the file again from its source",
        )
    if start + length > size:
        raise _damaged()
    stream.seek(start)
    return _names(stream.read(length), count)


def _zip64(stream: BinaryIO, end: int) -> tuple[int, int, int] | None:
    """The same three numbers from the zip64 end record, where there is one before the end record at `end`."""
    if end < 20:
        return None
    stream.seek(end - 20)
    locator = stream.read(20)
    if locator[:4] != _LOCATOR64:
        return None
    (offset,) = struct.unpack_from("<Q", locator, 8)
    if offset > end:
        raise _damaged()
    stream.seek(offset)
    record = stream.read(56)
    if len(record) < 56 or record[:4] != _END64:
        raise _damaged()
    count, length, start = struct.unpack_from("<QQQ", record, 32)
    return count, length, start


def _names(directory: bytes, count: int) -> list[str]:
    names: list[str] = []
    position = 0
    while position < len(directory) and len(names) < count:
        if len(directory) - position < 46 or directory[position : position + 4] != _ENTRY:
            raise _damaged()
        name, extra, comment = struct.unpack_from("<HHH", directory, position + 28)
        names.append(directory[position + 46 : position + 46 + name].decode("utf-8", "replace"))
        position += 46 + name + extra + comment
    if position > len(directory) or len(names) < count:
        raise _damaged()
    return names


def _damaged() -> BadInput:
    return BadInput("the directory of the zip archive is damaged", "copy or download it again, and compare sizes")
