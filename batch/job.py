"""What one run of `mlpack score` is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

#: Options that decide what the table holds. The others decide how it is made, or (max_rejected) whether it is published:
#: after a run that was stopped by its budget, one with a larger budget goes on with the same shards.
DECIDING = ("sql", "keep", "key", "partition_by", "label", "incremental")


@dataclass(frozen=True, slots=True)
class Job:
    """Paths are text as the user gave them, after templates were filled in; relative ones start at the current folder.

    inputs: file globs, `FILE.duckdb::TABLE`, URLs. sql: a query for DuckDB; `inputs` is then empty or one database file.
    output: a directory, `FILE.duckdb::TABLE`, or `delta::DIRECTORY`.
    keep: columns of the input that are kept; `("*",)` is all of them. key: the column that names a row, "" for input
    file and row number. max_rejected: the share (0 to 1) of rows that may be rejected; None is the contract's, or none.
    profile: the file that the rows' profile is written to, "" for none; profile_spec: the spec that it counts by.
    memory: bytes of all processes together; workers: None is one a core as far as `memory` allows.
    """

    model: str
    inputs: tuple[str, ...]
    output: str
    sql: str = ""
    keep: tuple[str, ...] = ()
    key: str = ""
    partition_by: str = ""
    contract: str = ""
    max_rejected: float | None = None
    challenger: str = ""
    label: str = ""
    profile: str = ""
    profile_spec: str = ""
    incremental: bool = False
    fresh: bool = False
    engine: str = "local"
    workers: int | None = None
    batch_rows: int = 65_536
    memory: int | None = None

    @property
    def aside(self) -> tuple[str, ...]:
        """Columns that are the model's only where it names them: a model that names none takes all the others."""
        named = self.keep if self.keep != ("*",) else ()
        return tuple(dict.fromkeys(name for name in (self.key, *named, self.partition_by, self.label) if name))

    def to_json(self) -> dict[str, Any]:
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def job_from_json(record: dict[str, Any]) -> Job:
    """What `Job.to_json` gave."""
    made = dict(record)
    for name in ("inputs", "keep"):
        made[name] = tuple(made.get(name, ()))
    return Job(**made)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
