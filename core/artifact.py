"""A model file and where it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.core.signature import Signature


@dataclass(frozen=True, slots=True)
class Lineage:
    """What made a file. No clock and no host name: the same input and options give the same bytes."""

    source_kind: str
    source_sha256: str
    versions: tuple[tuple[str, str], ...]
    options: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "source": {"kind": self.source_kind, "sha256": self.source_sha256},
            "versions": dict(self.versions),
            "options": dict(self.options),
        }


@dataclass(frozen=True, slots=True)
class Artifact:
    path: Path
    format: str
    sha256: str
    bytes: int
    signature: Signature
    lineage: Lineage


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal (FIPS 180-4), read in blocks. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
