"""Frames over two file descriptors: a line of JSON and, where that says `"bytes": n`, n bytes."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional, Tuple

Json = Dict[str, Any]


class Refusal(Exception):
    """What the host is told: kind, message, why, hint."""

    def __init__(self, kind: str, message: str, why: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.record = {"kind": kind, "message": message, "why": why, "hint": hint}


class Frames:
    """Frames over two file descriptors. Reading can be waited for together with other descriptors."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing, self._held = reading, writing, b""

    def read(self) -> Optional[Tuple[Json, bytes]]:
        """The next frame, None at the end of the input."""
        while b"\n" not in self._held:
            if not self._more():
                return None
        line, _, self._held = self._held.partition(b"\n")
        record = json.loads(line)
        wanted = int(record.get("bytes", 0))
        while len(self._held) < wanted:
            if not self._more(wanted - len(self._held)):
                return None
        payload, self._held = self._held[:wanted], self._held[wanted:]
        return record, payload

    def write(self, record: Json, payload: bytes = b"") -> None:
        if payload:
            record = {**record, "bytes": len(payload)}
        left = memoryview(json.dumps(record).encode() + b"\n" + payload)
        while left:
            left = left[os.write(self.writing, left) :]

    def _more(self, most: int = 1 << 16) -> bool:
        block = os.read(self.reading, max(most, 1 << 16))
        self._held += block
        return bool(block)
