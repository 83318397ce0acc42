"""Frames over two file descriptors: a line of JSON and, where that says `"bytes": n`, n bytes."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterator, Optional, Tuple

Json = Dict[str, Any]
_BLOCK = 1 << 16


class Refusal(Exception):
    """What the host is told: kind, message, why, hint."""

    def __init__(self, kind: str, message: str, why: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.record = {"kind": kind, "message": message, "why": why, "hint": hint}


class Frames:
    """Frames over two file descriptors. Reading can be waited for together with other descriptors."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing, self._held = reading, writing, bytearray()

    def read(self) -> Optional[Tuple[Json, bytes]]:
        """The next frame, None where the input ends before it is whole."""
        record = self.head()
        if record is None:
            return None
        try:
            return record, b"".join(self.blocks(record))
        except EOFError:
            return None

    def head(self) -> Optional[Json]:
        """The next frame's line, None at the end of the input. Its bytes must be taken (`blocks`) before the next."""
        seen = 0
        while True:
            end = self._held.find(b"\n", seen)
            if end >= 0:
                break
            seen = len(self._held)
            block = os.read(self.reading, _BLOCK)
            if not block:
                return None
            self._held += block
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        record: Json = json.loads(line)
        return record

    def blocks(self, record: Json) -> Iterator[bytes]:
        """The bytes of a frame in pieces, so that a large model need not fit into memory. EOFError where they end early."""
        left = int(record.get("bytes", 0))
        if left and self._held:
            block = bytes(self._held[:left])
            del self._held[: len(block)]
            left -= len(block)
            yield block
        while left:
            block = os.read(self.reading, min(left, _BLOCK))
            if not block:
                raise EOFError
            left -= len(block)
            yield block

    def write(self, record: Json, payload: bytes = b"") -> None:
        if payload:
            record = {**record, "bytes": len(payload)}
        for block in (json.dumps(record).encode() + b"\n", payload):
            left = memoryview(block)
            while left:
                left = left[os.write(self.writing, left) :]
