"""Runners that are functions of their feeds, and rows in memory, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import Category, Dimension, Signature, TensorSpec

Array = NDArray[Any]


@dataclass(frozen=True)
class Batch:
    feeds: dict[str, Array]
    labels: Array | None
    start: int


@dataclass
class InMemory:
    """Rows of inputs by name; `passes` counts how often they were read from the start."""

    feeds: Mapping[str, Array]
    labels: Array | None = None
    passes: int = 0

    def batches(self, rows: int) -> Iterator[Batch]:
        self.passes += 1
        count = len(next(iter(self.feeds.values())))
        for start in range(0, count, rows):
            part = slice(start, start + rows)
            labels = None if self.labels is None else self.labels[part]
            yield Batch({name: array[part] for name, array in self.feeds.items()}, labels, start)


@dataclass
class Answering:
    """A model that is a Python function; `calls` counts its runs."""

    signature: Signature
    function: Callable[[Mapping[str, Array]], dict[str, Array]]
    calls: int = 0

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.calls += 1
        return self.function(feeds)


def output(name: str, *sizes: Dimension, role: str = "", dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, dtype, ("batch", *sizes), role)


def signature(*outputs: TensorSpec, classes: tuple[Category, ...] = (), width: Dimension = 3) -> Signature:
    return Signature((TensorSpec("x", "float32", ("batch", width)),), outputs, (), classes)


def echo(*outputs: TensorSpec, classes: tuple[Category, ...] = (), **answers: Array) -> Answering:
    """Gives `answers`, whatever it is fed: the feeds hold row numbers in their first column."""
    return Answering(
        signature(*outputs, classes=classes),
        lambda feeds: {name: array[feeds["x"][:, 0].astype(np.int64)] for name, array in answers.items()},
    )


def numbered(rows: int, labels: Array | None = None) -> InMemory:
    """Rows for `echo`: inputs that are the number of their row."""
    return InMemory({"x": np.repeat(np.arange(rows, dtype=np.float32)[:, None], 3, axis=1)}, labels)
