"""The list of a root's files with their digests: written when the root is complete, compared with what is there later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from mlpack_edge.core.errors import Json

NAME = "manifest.json"
#: Of the folder's layout and of this list; a root of another layout is set up again.
LAYOUT = 1


def write_manifest(root: Path, facts: Json) -> None:
    """List every file (size, SHA-256) and link (target) below `root`, with `facts`, in root/manifest.json."""
    files = {name: [path.stat().st_size, _digest(path)] for name, path in _files(root)}
    links = {str(path.relative_to(root)): str(path.readlink()) for path in sorted(root.rglob("*")) if path.is_symlink()}
    record = {"layout": LAYOUT, **facts, "files": files, "links": links}
    (root / NAME).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(root: Path) -> Json | None:
    """The record; None where it cannot be read as one of this layout."""
    try:
        record = json.loads((root / NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("layout") == LAYOUT else None


def damage(root: Path, record: Json, digests: bool) -> str:
    """What differs from the record, in words; "" where nothing does. digests: read every file, not only its size."""
    for name, (size, sha256) in record["files"].items():
        path = root / name
        if not path.is_file() or path.is_symlink():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes where {size} were written"
        if digests and _digest(path) != sha256:
            return f"{name} is not what was written"
    for name, target in record["links"].items():
        if not (root / name).is_symlink() or str((root / name).readlink()) != target:
            return f"the link {name} is not what was written"
    if digests and (strange := next((name for name, _ in _files(root) if name not in record["files"]), "")):
        return f"{strange} was not written by the setup"
    return ""


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """Regular files below `root` but the manifest, by name in a fixed order; links are not followed."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink() and path != root / NAME:
            yield str(path.relative_to(root)), path


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
