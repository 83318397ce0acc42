"""What one evaluation is asked for: pure values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

Json = dict[str, Any]

MIN_ROWS = 30


@dataclass(frozen=True, slots=True)
class Request:
    """scores: a table that `mlpack score` wrote. labels: files or a table; "" where `label` is a column of the scores.

    on: the columns that name a row in both; empty for the key that the scores were written with. by: a date or timestamp
    (taken by day, UTC) or any other column, "" for none. positive: the class that F1 and AUC are of, "" for the second
    of two classes or the average of more. min_rows: with fewer labelled rows no figure is given. model: the file of the
    model where the scores carry no manifest. memory: bytes for DuckDB, None for its default here.
    """

    scores: str
    labels: str
    label: str
    on: tuple[str, ...] = ()
    by: str = ""
    segments: tuple[str, ...] = ()
    positive: str = ""
    min_rows: int = MIN_ROWS
    model: str = ""
    challenger: str = ""
    memory: int | None = None

    def to_json(self) -> Json:
        return asdict(self)


def request_from_json(record: Json) -> Request:
    """What `Request.to_json` gave; keys of others are passed over."""
    known = {field.name for field in fields(Request)}
    made = {key: value for key, value in record.items() if key in known}
    for key in ("on", "segments"):
        made[key] = tuple(made.get(key, ()))
    return Request(**made)


@dataclass(frozen=True, slots=True)
class Metric:
    """value and interval are None where there is no such figure; `reason` then says why. rows: that it was taken over.

    average: "macro" where it is the mean over classes, "" otherwise.
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None
    rows: int
    average: str = ""
    reason: str = ""

    def to_json(self) -> Json:
        record: Json = {
            "name": self.name,
            "value": self.value,
            "ci95": list(self.interval) if self.interval else None,
            "rows": self.rows,
        }
        return record | {key: value for key, value in (("average", self.average), ("reason", self.reason)) if value}
