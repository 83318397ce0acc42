"""Where a shard lies, and what its folder says of it. The standard library alone: the coordinating process looks there too."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from mlpack_edge.batch.facts import ShardFacts, facts_from_json

FACTS = "facts.json"


def shard_folder(folder: Path, index: int) -> Path:
    """Where a finished shard lies."""
    return folder / f"{index:05d}"


def draft_folder(folder: Path, index: int) -> Path:
    """Where this process writes a shard."""
    return folder / f".{index:05d}.{os.getpid()}.tmp"


def facts_of(folder: Path, index: int) -> ShardFacts | None:
    """The facts of a shard that lies complete in `folder`, or None."""
    with contextlib.suppress(FileNotFoundError):
        return facts_from_json(json.loads((shard_folder(folder, index) / FACTS).read_text(encoding="utf-8")))
    return None
