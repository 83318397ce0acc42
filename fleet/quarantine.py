"""What was refused, byte by byte, with the reason: one file of bytes and one of lines for each reason and run.

The bytes of a reason lie one after another: what was whole in form (of another spec, of a later version) is again a file of
reports, which can be read when its spec is there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mlpack_edge.core.errors import BadInput
from mlpack_edge.fleet.layout import QUARANTINE
from mlpack_edge.fleet.store import Store

#: The reason of a report with the id of a stored one and other counters.
CONFLICT = "conflicts with a stored report"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A piece of a file (`offset` in bytes) and why it is no report of any known spec: `reason` is one of few names."""

    reason: str
    message: str
    file: str
    offset: int
    raw: bytes


def folder_of(reason: str) -> Path:
    """Relative to the store."""
    return Path(QUARANTINE) / re.sub(r"[^a-z]+", "-", reason.lower())


class Quarantine:
    """The quarantine of a store. Each piece is kept once, however often it is delivered."""

    def __init__(self, store: Store, received: int) -> None:
        self._store, self._received = store, received
        self._kept: set[str] | None = None

    def add(self, rejected: Sequence[Rejected]) -> int:
        """Keep those that are not kept yet, durably; how many they were. Raises OSError, BadInput."""
        if not rejected:
            return 0
        if self._kept is None:
            self._kept = set(_told(self._store.root / QUARANTINE, "sha256"))
        reasons: dict[str, list[tuple[str, Rejected]]] = {}
        for piece in rejected:
            digest = sha256(piece.raw).hexdigest()
            if digest not in self._kept:
                self._kept.add(digest)
                reasons.setdefault(piece.reason, []).append((digest, piece))
        for reason, pieces in reasons.items():
            self._write(folder_of(reason), pieces)
        return sum(len(pieces) for pieces in reasons.values())

    def _write(self, folder: Path, pieces: list[tuple[str, Rejected]]) -> None:
        """The bytes first: a line is only written of what is kept. A run that ends between them writes the bytes again,
        under the same name."""
        name = sha256("".join(digest for digest, _ in pieces).encode()).hexdigest()[:16]
        at, lines = 0, []
        for digest, piece in pieces:
            record = {
                "reason": piece.reason, "message": piece.message, "file": piece.file, "offset": piece.offset,
                "bytes": len(piece.raw), "sha256": digest, "raw": f"{name}.cbor", "raw_offset": at, "received": self._received,
            }  # fmt: skip
            lines.append(json.dumps(record, sort_keys=True) + "\n")
            at += len(piece.raw)
        for suffix, content in (
            (".cbor", b"".join(piece.raw for _, piece in pieces)),
            (".jsonl", "".join(lines).encode()),
        ):
            draft = self._store.drafts / (name + suffix)
            draft.write_bytes(content)
            self._store.publish(draft, folder / (name + suffix))


def counts(root: Path) -> dict[str, int]:
    """How many pieces a store's quarantine holds, by reason. Raises OSError, and BadInput where a file of it is damaged."""
    return dict(Counter(_told(root / QUARANTINE, "reason")))


def _told(folder: Path, key: str) -> Iterator[str]:
    """Of every piece."""
    for path in sorted(folder.glob("*/*.jsonl")):
        try:
            with path.open(encoding="utf-8") as lines:
                yield from (str(json.loads(line)[key]) for line in lines)
        except (ValueError, KeyError, TypeError) as fault:
            raise BadInput(
                f"{path} is damaged", "remove it: the bytes lie beside it, and what is delivered again is judged again"
            ) from fault
