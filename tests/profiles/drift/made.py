"""Specs and profiles from columns, for the tests of drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlpack_edge.profiles.arrays.counting import Coded, ColumnTally
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.reference.blocks import BlockTallies, Cutting, unfilled
from mlpack_edge.profiles.reference.cells_of import numeric_feature, text_feature
from mlpack_edge.profiles.reference.devices import DeviceSums
from mlpack_edge.profiles.reference.samples import NumberSample, TextCounts, row_hashes
from mlpack_edge.profiles.reference.slots import Slot
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Source, Spec
from mlpack_edge.profiles.spec_file import digest

Columns = Mapping[str, np.ndarray]
DAY = 86_400


def coded(values: np.ndarray) -> Coded:
    """Texts, None where missing."""
    names, codes = np.unique(np.where(values == None, "", values).astype(str), return_inverse=True)
    return Coded(np.where(values == None, -1, codes), names.tolist())


def columns_of(table: Columns) -> dict[str, object]:
    return {name: coded(values) if values.dtype == object else values for name, values in table.items()}


def spec_of(
    table: Columns,
    blocks: np.ndarray,
    *,
    outputs: Columns | None = None,
    unit: str = "day",
    devices: np.ndarray | None = None,
    right: tuple[tuple[int, int], ...] = (),
    confidence: np.ndarray | None = None,
) -> Spec:
    """blocks: int `[rows]`, which block a row belongs to; object columns are texts."""
    features = []
    for role, columns in ((INPUT, table), (OUTPUT, outputs or {})):
        for name, values in columns.items():
            slot = Slot(Source(name, role), values.dtype == object)
            if slot.category:
                column = coded(values)
                seen = TextCounts()
                seen.update(column)
                features.append(text_feature(slot, seen))
            else:
                sample = NumberSample()
                sample.update(values, row_hashes(0, len(values)))
                features.append(numeric_feature(slot, sample))
    blank = unfilled("ab" * 32, tuple(features), confidence is not None)
    tallies = BlockTallies(blank, Cutting(unit, "when"))
    for block in np.unique(blocks).tolist():
        mine = blocks == block
        tallies.tally(block, str(block)).add(
            columns_of({name: values[mine] for name, values in table.items()}),
            None if outputs is None else columns_of({name: values[mine] for name, values in outputs.items()}),
            rows=int(mine.sum()),
            probabilities=None if confidence is None else confidence[mine],
        )
    growth: dict[str, float] = {}
    count = 0
    if devices is not None:
        sums = DeviceSums(features)
        sums.update(columns_of(table), coded(devices.astype(str).astype(object)))
        growth, count = sums.growth(), sums.devices
    return tallies.filled(growth, count, right, {})


def profile_of(
    spec: Spec,
    table: Columns,
    day: int | None = None,
    *,
    outputs: Columns | None = None,
    device: bytes = b"",
    days: int = 1,
    confidence: np.ndarray | None = None,
) -> Profile:
    tally = ColumnTally(spec)
    tally.add(
        columns_of(table),
        None if outputs is None else columns_of(outputs),
        rows=len(next(iter(table.values()))),
        probabilities=confidence,
    )
    window = Window(0, 0, 0) if day is None else Window(day, day * DAY, (day + days) * DAY)
    return replace(tally.profile(digest(spec), window), device=device)


def plain(rng: np.random.Generator, rows: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    """A number, a skewed number, categories with long tails, and a number of few values."""
    return {
        "x": rng.normal(size=rows) + shift,
        "amount": rng.gamma(2.0, 10.0, size=rows) + 14.1 * shift,
        "kind": np.array(list("abcdefgh"), object)[np.minimum(rng.geometric(0.4, size=rows) - 1, 7)],
        "grade": rng.integers(0, 5, size=rows).astype(float),
    }


def names(found: Sequence[object]) -> list[str]:
    return [feature.name for feature in found]  # type: ignore[attr-defined]
