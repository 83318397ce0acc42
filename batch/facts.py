"""What came of a shard, and of a run: pure values that travel as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a shard: `path` relative to the shard's folder (`part.parquet`, `month=7/part.parquet`)."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """rejected: rows by reason. collected: by collector, its state as JSON. seconds: reading, scoring and writing.

    quarantine: the file of rejected rows, None where there are none.
    """

    index: int
    rows_in: int
    rows_out: int
    rows_rejected: int
    parts: tuple[Part, ...]
    rejected: dict[str, int] = field(default_factory=dict)
    collected: Json = field(default_factory=dict)
    seconds: float = 0.0
    quarantine: Part | None = None

    def to_json(self) -> Json:
        return asdict(self)


def facts_from_json(record: Json) -> ShardFacts:
    """What `ShardFacts.to_json` gave. Raises KeyError or TypeError for anything else."""
    quarantine = record["quarantine"]
    made = {"parts": tuple(Part(**part) for part in record["parts"]), "quarantine": quarantine and Part(**quarantine)}
    return ShardFacts(**{**record, **made})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The sums over all shards, in the order of the shards."""

    rows_in: int
    rows_out: int
    rows_rejected: int
    rejected: dict[str, int]
    shards: tuple[ShardFacts, ...]


def run_facts(shards: Iterable[ShardFacts]) -> RunFacts:
    """Sums; reasons by how often they came, then by name."""
    ordered = tuple(sorted(shards, key=lambda facts: facts.index))
    reasons: dict[str, int] = {}
    for facts in ordered:
        for reason, rows in facts.rejected.items():
            reasons[reason] = reasons.get(reason, 0) + rows
    return RunFacts(
        rows_in=sum(facts.rows_in for facts in ordered),
        rows_out=sum(facts.rows_out for facts in ordered),
        rows_rejected=sum(facts.rows_rejected for facts in ordered),
        rejected=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        shards=ordered,
    )
