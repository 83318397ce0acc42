"""Text files, plain or compressed, as streams of bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}


def open_text(path: Path) -> Any:
    """A `pyarrow.NativeFile` of the bytes of a text file, decompressed by what its first bytes say. Raises OSError."""
    with path.open("rb") as stream:
        head = stream.read(4)
    compression = next((form for magic, form in _MAGIC.items() if head.startswith(magic)), None)
    return pa.input_stream(str(path), compression=compression, buffer_size=1 << 18)
