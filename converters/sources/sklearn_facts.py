"""What is known of an input column, and how a value between steps leads back to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import Category
from mlpack_edge.runtimes.rows import ColumnHint

Numbers = NDArray[np.float64]
#: More thresholds than this in one column are thinned out evenly.
MOST_EDGES = 4000


@dataclass(slots=True)
class ColumnFacts:
    """Gathered along the way. kind: "numeric", "categorical" or "text".

    numbers: a step that takes nothing but numbers was trained on the column. route: where the column is sent; columns
    of one route and kind go through the same steps.
    """

    kind: str = "numeric"
    categories: tuple[Category, ...] = ()
    edges: list[Numbers] = field(default_factory=list)
    values: list[Numbers] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    numbers: bool = False
    route: list[str] = field(default_factory=list)

    def dtype(self, default: str) -> str:
        """The element type of an input that takes this column."""
        if self.kind == "text":
            return "string"
        if self.kind == "categorical" and self.categories:
            kinds = {type(value) for value in self.categories}
            if str in kinds:
                return "string"
            if kinds == {bool}:
                return "bool"
            if kinds == {int}:
                return "int64"
        return default

    def hint(self) -> ColumnHint:
        edges = np.unique(np.concatenate(self.edges)) if self.edges else np.zeros(0)
        edges = edges[np.isfinite(edges)]
        if len(edges) > MOST_EDGES:
            edges = edges[np.linspace(0, len(edges) - 1, MOST_EDGES).astype(int)]
        values = np.concatenate(self.values) if self.values else np.zeros(0)
        return ColumnHint(edges, values[np.isfinite(values)][:MOST_EDGES], self.low, self.high, self.words)

    def range(self, low: float, high: float) -> None:
        """The first range seen is that of the input itself."""
        if self.low is None and np.isfinite(low) and np.isfinite(high):
            self.low, self.high = float(low), float(high)


@dataclass(frozen=True, slots=True)
class Origin:
    """A value between steps that comes from input column `column`; `back` maps it to the input's units."""

    column: int
    back: Callable[[Numbers], Numbers]


Origins = list["Origin | None"]
