"""The rows that candidates are judged on, as this package needs them; `runtimes/row_streams` gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]


class Batch(Protocol):
    """feeds: inputs by name, rows first. labels: `[rows]` (or `[rows, targets]`), None where there are none. start: number of
    the first row."""

    @property
    def feeds(self) -> Mapping[str, Array]: ...

    @property
    def labels(self) -> Array | None: ...

    @property
    def start(self) -> int: ...


class Rows(Protocol):
    def batches(self, rows: int) -> Iterable[Batch]:
        """All rows, at most `rows` at a time; the same rows in the same order whenever it is called."""
        ...
