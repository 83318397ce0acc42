"""What a run of `mlpack score` answers: pure values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

Json = dict[str, Any]

DONE, NOTHING_TO_DO = "done", "nothing to do"


@dataclass(frozen=True, slots=True)
class RunResult:
    """Rows of this run: all zero where there was nothing to do.

    table_rows: of the table as it stands now, with those of earlier runs.
    changed: why this is another run than the last, in words. agreement, evaluation: of a challenger, or None.
    profile: {"path", "spec", "rows"} of the profile that was written, or None.
    """

    status: str
    output: str
    run_key: str
    model_sha256: str
    rows_in: int
    rows_out: int
    rows_rejected: int
    rejected: dict[str, int]
    shards_done: int
    shards_reused: int
    seconds: float
    rejected_file: str | None = None
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    agreement: Json | None = None
    evaluation: Json | None = None
    table_rows: int = 0
    profile: Json | None = None

    def to_json(self) -> Json:
        """The keys of the command's JSON document."""
        record = asdict(self)
        done, reused = record.pop("shards_done"), record.pop("shards_reused")
        record["shards"] = {"done": done, "reused": reused, "total": done + reused}
        record["rows_per_second"] = round(self.rows_in / self.seconds) if self.seconds and done else None
        return record
