"""Spec files: canonical JSON with the digest of what it says. Standard library alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault, publish
from mlpack_edge.profiles.spec import SCHEMA, Spec
from mlpack_edge.profiles.spec_json import KIND, Json, spec_from_json, spec_to_json

#: Bytes beyond which a file is no spec: none that mlpack writes comes near.
LARGEST = 32 << 20
HINT = "mlpack profile spec MODEL --reference DATA -o SPEC makes one"


def digest(spec: Spec) -> bytes:
    """SHA-256 of the canonical JSON without the digest, 32 bytes; profiles carry the first 16."""
    return _digest(spec_to_json(spec))


def spec_text(spec: Spec) -> str:
    """The text of a spec file: equal specs give equal texts."""
    record = spec_to_json(spec)
    return _canonical({**record, "digest": _digest(record).hex()}) + "\n"


def write_spec(path: Path, spec: Spec, force: bool) -> None:
    """Raises OutputExists without `force`, IoFault where the file cannot be written."""
    with publish(path, force) as draft:
        draft.write_text(spec_text(spec), encoding="utf-8")


def read_spec(path: Path) -> Spec:
    """Raises BadInput where the file is no spec, of a later schema, damaged or changed by hand; IoFault where unreadable."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    return spec_from_bytes(raw, str(path))


def spec_from_bytes(raw: bytes, where: str = "the spec") -> Spec:
    """What `spec_text` gave, as UTF-8. Raises BadInput, naming `where`."""
    record = _document(raw, where)
    said = record.pop("digest", None)
    try:
        found = _digest(record).hex()
    except RecursionError:  # deeper than a spec, though not too deep to be read
        raise BadInput(f"{where} is no profile spec", HINT) from None
    if not isinstance(said, str) or said != found:
        raise BadInput(
            f"{where} was changed after it was written: its digest does not match",
            "take the file as mlpack profile spec wrote it: profiles name their spec by this digest",
            why=f"it says {said}, its content gives {found}",
        )
    spec = spec_from_json(record, where)
    if digest(spec).hex() != said:
        raise BadInput(
            f"{where} says more than this mlpack understands", "update mlpack-edge, or make the spec again",
            why="written anew, it has another digest",
        )  # fmt: skip
    return spec


def _document(raw: bytes, where: str) -> Json:
    try:
        record = json.loads(raw, parse_constant=_refuse_constant) if len(raw) <= LARGEST else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise BadInput(f"{where} is no profile spec", HINT)
    schema = record.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise BadInput(f"{where} is damaged: its schema is {schema!r}", HINT)
    if schema > SCHEMA:
        raise BadInput(
            f"{where} was written by a later mlpack (schema {schema}; this one reads up to {SCHEMA})",
            "update mlpack-edge, or make the spec again with this version",
        )
    return record


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _digest(record: Json) -> bytes:
    return hashlib.sha256(_canonical(record).encode("utf-8", "surrogatepass")).digest()


def _canonical(record: Json) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
