"""What a published table is made of and from: the record that the next run reads. Pure values, no clock in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mlpack_edge.batch.facts import Part, RunFacts
from mlpack_edge.batch.plan import InputFile, Plan, input_from_json
from mlpack_edge.core.errors import BadInput

Json = dict[str, Any]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ManifestInput:
    """An input whose rows the table holds, as it was when they were scored. rejected: rows by reason."""

    file: InputFile
    rows_in: int
    rows_out: int
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.file.name


@dataclass(frozen=True, slots=True)
class ManifestPart:
    """A file of the table: `path` relative to its directory. input: the name of the input whose rows it holds."""

    path: str
    rows: int
    bytes: int
    sha256: str
    input: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """identity: `Plan.identity` of the run. models: {"prefix", "format", "sha256", "signature" (its JSON text)} each.

    parts: none where the table is not a directory of files. quarantine: the rejected rows of all inputs, a file beside
    the manifest, or None. collected: of the last run, by collector.
    """

    run_key: str
    identity: Json
    models: tuple[Json, ...]
    inputs: tuple[ManifestInput, ...]
    parts: tuple[ManifestPart, ...]
    quarantine: Part | None = None
    collected: Json = field(default_factory=dict)

    @property
    def rows_in(self) -> int:
        return sum(item.rows_in for item in self.inputs)

    @property
    def rows_out(self) -> int:
        return sum(item.rows_out for item in self.inputs)

    @property
    def rejected(self) -> dict[str, int]:
        """By how often they came, then by name."""
        return _ordered(_sum(item.rejected for item in self.inputs))

    @property
    def rows_rejected(self) -> int:
        return sum(sum(item.rejected.values()) for item in self.inputs)

    def to_json(self) -> Json:
        return {
            "schema": SCHEMA,
            "run_key": self.run_key,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rows_rejected": self.rows_rejected,
            "rejected": self.rejected,
            "identity": self.identity,
            "models": list(self.models),
            "inputs": [asdict(item) for item in self.inputs],
            "parts": [asdict(part) for part in self.parts],
            "quarantine": asdict(self.quarantine) if self.quarantine else None,
            "collected": self.collected,
        }

    def to_bytes(self) -> bytes:
        """The same manifest gives the same bytes."""
        text = json.dumps(self.to_json(), sort_keys=True, indent=1, ensure_ascii=True)
        return text.encode() + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of `to_bytes`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def manifest_from_json(record: Any, where: str = "the manifest") -> Manifest:
    """What `Manifest.to_json` gave. Raises BadInput, naming `where`, for a later schema or anything else."""
    if isinstance(record, dict) and isinstance(record.get("schema"), int) and record["schema"] > SCHEMA:
        raise BadInput(
            f"{where} was written by a later mlpack (schema {record['schema']}; this one knows {SCHEMA})",
            "update mlpack, or name another output",
        )
    try:
        if record["schema"] != SCHEMA:
            raise ValueError(f"schema {record['schema']!r}")
        made = Manifest(
            run_key=_text(record["run_key"]),
            identity=dict(record["identity"]),
            models=tuple(dict(model) for model in record["models"]),
            inputs=tuple(ManifestInput(**{**item, "file": input_from_json(item["file"])}) for item in record["inputs"]),
            parts=tuple(ManifestPart(**part) for part in record["parts"]),
            quarantine=Part(**record["quarantine"]) if record["quarantine"] else None,
            collected=dict(record["collected"]),
        )
        if (made.rows_in, made.rows_out) != (record["rows_in"], record["rows_out"]):
            raise ValueError("its sums do not agree")
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise BadInput(
            f"{where} is damaged", "remove the output (and what stands in its .mlpack folder), or name another",
            why=f"{type(fault).__name__}: {fault}",
        ) from fault  # fmt: skip
    return made


def manifest_from_bytes(content: bytes, where: str = "the manifest") -> Manifest:
    """What `Manifest.to_bytes` gave. Raises BadInput as `manifest_from_json`."""
    try:
        record = json.loads(content)
    except ValueError:
        record = None
    return manifest_from_json(record, where)


def manifest_of(
    plan: Plan,
    facts: RunFacts,
    last: Manifest | None,
    parts: Iterable[ManifestPart],
    quarantine: Part | None,
    collected: Json,
) -> Manifest:
    """The manifest of a table that holds the rows of this run and those of `plan.kept`, and of inputs that grew.

    last: the manifest of the table as it stands; needed where something of it is kept.
    """
    before = {item.name: item for item in last.inputs} if last else {}
    inputs = [replace(before[item.name], file=replace(item, skip=0)) for item in plan.kept]
    by_input: dict[int, list[int]] = {}
    for position, shard in enumerate(plan.shards):
        by_input.setdefault(shard.file, []).append(position)
    for number, item in enumerate(plan.inputs):
        done = [facts.shards[position] for position in by_input.get(number, ())]
        rows_in, rows_out = sum(shard.rows_in for shard in done), sum(shard.rows_out for shard in done)
        rejected = _sum(shard.rejected for shard in done)
        if item.skip:
            old = before[item.name]
            rows_in, rows_out = rows_in + old.rows_in, rows_out + old.rows_out
            rejected = _sum((old.rejected, rejected))
        inputs.append(ManifestInput(replace(item, skip=0), rows_in, rows_out, _ordered(rejected)))
    return Manifest(
        run_key=plan.run_key,
        identity=plan.identity(),
        models=tuple(
            {"prefix": model.prefix, "format": model.format, "sha256": model.sha256, "signature": model.signature}
            for model in plan.models
        ),
        inputs=tuple(sorted(inputs, key=lambda item: item.name)),
        parts=tuple(parts),
        quarantine=quarantine,
        collected=collected,
    )


def stays(plan: Plan) -> frozenset[str]:
    """Names of the inputs of which rows that stand in the table stay there."""
    return frozenset(item.name for item in plan.kept) | {item.name for item in plan.inputs if item.skip}


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for reason, rows in count.items():
            total[reason] = total.get(reason, 0) + rows
    return total


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
