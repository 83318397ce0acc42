"""Read one JSON object by name and kind, so that a damaged document is refused at the place that is damaged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput

Json = dict[str, Any]

MEASURE_AGAIN = "measure again with mlpack bench --json"


class Fields:
    """The values of `record`; `where` is how messages name it. Every method raises BadInput, naming place and key."""

    def __init__(self, record: Any, where: str) -> None:
        self._where = where
        if not isinstance(record, dict):
            raise BadInput(f"{where} is not a JSON object", MEASURE_AGAIN)
        self._record = record

    def _damaged(self, name: str, why: str) -> BadInput:
        return BadInput(f"{self._where} is damaged: {name!r} {why}", MEASURE_AGAIN)

    def required(self, name: str, kind: type) -> Any:
        if name not in self._record:
            raise self._damaged(name, "is missing")
        value = self._record[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._damaged(name, f"should be {kind.__name__}, not {type(value).__name__}")
        return value

    def optional(self, name: str, kind: type) -> Any:
        return None if self._record.get(name) is None else self.required(name, kind)

    def text(self, name: str) -> str:
        return str(self.required(name, str))

    def whole(self, name: str) -> int:
        value = int(self.required(name, int))
        if not 0 <= value < 2**63:
            raise self._damaged(name, f"is {value}")
        return value

    def table_or_none(self, name: str) -> Json | None:
        table: Json | None = self.optional(name, dict)
        return table

    def number_or_none(self, name: str) -> float | None:
        value = self._record.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise self._damaged(name, f"is {value!r}")
        return float(value)

    def samples(self, name: str) -> NDArray[np.uint64]:
        values = self.required(name, list)
        if not all(type(value) is int and 0 <= value < 2**63 for value in values):
            raise self._damaged(name, "holds something else than whole nanoseconds")
        return np.array(values, np.uint64)

    def bits(self, name: str, count: int) -> NDArray[np.bool_]:
        text = self.text(name)
        if len(text) != count or not set(text) <= {"0", "1"}:
            raise self._damaged(name, f"should be {count} characters 0 or 1")
        return np.array([one == "1" for one in text], np.bool_)
