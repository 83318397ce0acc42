"""The quarantine of a shard: one JSON line for each rejected row, with the rule, the reason and the model's inputs."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import pyarrow

from mlpack_edge.batch.scoring.findings import Findings

#: Its name in the folder of a shard.
REJECTED = "rejected.jsonl"


class RejectedRows:
    """Writes the file `path`, which is there only where a row was rejected.

    file: what the rows carry as their source. key: the column that names a row, "" for none. values: the columns that are
    shown. A line is {"file", "row", "key" (with a key), "rule", "column", "reason", "values"}; numbers that JSON does
    not have are the texts "NaN", "Infinity" and "-Infinity"; times, decimals and bytes are texts (ISO 8601, digits, base64).
    """

    def __init__(self, path: Path, file: str, key: str, values: Sequence[str]) -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self.rows = 0
        self._file = file
        self._key = key
        self._values = tuple(values)
        self._stream: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, batch: pyarrow.RecordBatch, first_row: int, findings: Findings) -> None:
        """The rows of `batch` that `findings` rejects. first_row: the number of its first row in the input."""
        places = np.flatnonzero(findings.codes)
        if not places.size:
            return
        if self._stream is None:
            self._stream = self.path.open("w", encoding="utf-8", newline="\n")
        taken = batch.select([*self._values, *([self._key] if self._key else [])]).take(pyarrow.array(places))
        columns = {name: taken.column(number).to_pylist() for number, name in enumerate(self._values)}
        keys = taken.column(len(self._values)).to_pylist() if self._key else None
        for number, place in enumerate(places.tolist()):
            finding = findings.kinds[findings.codes[place] - 1]
            line: dict[str, Any] = {"file": self._file, "row": first_row + place}
            if keys is not None:
                line["key"] = _plain(keys[number])
            line |= {"rule": finding.rule, "column": finding.column, "reason": finding.reason}
            line["values"] = {name: _plain(values[number]) for name, values in columns.items()}
            self._stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            said = f"{finding.column}: {finding.reason}" if finding.column else finding.reason
            self.counts[said] = self.counts.get(said, 0) + 1
        self.rows += len(places)


def _plain(value: Any) -> Any:
    """A value of Arrow as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
