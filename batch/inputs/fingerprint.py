"""Which files a job names, and whether they are still what they were. The standard library alone.

Apache Parquet file format: a file ends with its footer, the footer's length as 4 bytes (little-endian) and `PAR1`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import IO

from mlpack_edge.batch.inputs.sources import matches
from mlpack_edge.batch.plan import Fingerprint
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

__all__ = ["appended_rows", "fingerprint_of", "matches", "unchanged"]

PARQUET = b"PAR1"
_TAIL = 8  # length of the footer, then the magic
_BLOCK = 1 << 20


def fingerprint_of(path: Path) -> Fingerprint:
    """Of a Parquet file the SHA-256 of its footer and tail; of any other the SHA-256 of all its bytes.

    Raises BadInput where `path` is no regular file, is Parquet with a damaged end, or is written to meanwhile; IoFault.
    """
    try:
        _require_file(path, path.stat().st_mode)  # opening a pipe would wait for its writer
        with path.open("rb") as stream:
            before = os.fstat(stream.fileno())
            whole = stream.read(len(PARQUET)) != PARQUET
            digest = _whole(stream) if whole else _footer(path, stream, before.st_size)
            after = os.fstat(stream.fileno())
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise BadInput(f"{path} is being written to", "start again when its writer has finished")
    return Fingerprint(before.st_size, before.st_mtime_ns, digest, whole)


def unchanged(path: Path, known: Fingerprint) -> bool:
    """Whether size and time of writing are still those of `known`. A file that is gone or out of reach has changed."""
    try:
        now = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(now.st_mode) and (now.st_size, now.st_mtime_ns) == (known.size, known.mtime_ns)


def appended_rows(path: Path, known: Fingerprint, known_rows: int) -> int:
    """How many rows at the start of a CSV or JSON lines file are those an earlier run scored: `known_rows` or 0.

    The first `known.size` bytes must have the digest `known` has, and end with a line (else its last row may have grown).
    Raises IoFault. A compressed file is another one when it grows, so it gives 0 unless nothing changed.
    """
    if not known.whole or known.size == 0:
        return 0
    try:
        _require_file(path, path.stat().st_mode)
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < known.size or _whole(stream, known.size) != known.digest:
                return 0
            if size == known.size:
                return known_rows
            stream.seek(known.size - 1)
            return known_rows if stream.read(2)[:1] == b"\n" and not _compressed(stream) else 0
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault


def _compressed(stream: IO[bytes]) -> bool:
    stream.seek(0)
    head = stream.read(4)
    return head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh"))  # gzip, zstd, bzip2


def _require_file(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise BadInput(f"{path} is no regular file", "name a file, a directory or a glob of files")


def _whole(stream: IO[bytes], size: int | None = None) -> str:
    """SHA-256 in hexadecimal of the first `size` bytes, or of all."""
    stream.seek(0)
    digest = hashlib.sha256()
    left = size
    while block := stream.read(_BLOCK if left is None else min(_BLOCK, left)):
        digest.update(block)
        left = None if left is None else left - len(block)
    return digest.hexdigest()


def _footer(path: Path, stream: IO[bytes], size: int) -> str:
    """SHA-256 in hexadecimal of the footer's Thrift bytes, its length and the magic."""
    stream.seek(max(size - _TAIL, 0))
    tail = stream.read(_TAIL)
    length = int.from_bytes(tail[:4], "little")
    if not tail.endswith(PARQUET) or length + _TAIL + len(PARQUET) > size:
        raise BadInput(
            f"{path} begins like a Parquet file and does not end like one",
            "it was cut off or is still being written: make it again",
        )
    stream.seek(size - _TAIL - length)
    return hashlib.sha256(stream.read(length) + tail).hexdigest()
