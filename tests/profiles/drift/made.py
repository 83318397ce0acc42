"""Specs and profiles from columns, for the tests of drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlpack_edge.profiles.arrays.counting import Coded, ColumnTally
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.reference.blocks import Cutting
from mlpack_edge.profiles.reference.columns import spec_from_columns
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest

Columns = Mapping[str, np.ndarray]
DAY = 86_400


def coded(values: np.ndarray) -> Coded:
    """Texts, None where missing."""
    names, codes = np.unique(np.where(values == None, "", values).astype(str), return_inverse=True)
    return Coded(np.where(values == None, -1, codes), names.tolist())


def columns_of(table: Columns) -> dict[str, np.ndarray | Coded]:
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
    return spec_from_columns(
        columns_of(table),
        blocks,
        Cutting(unit, "when"),
        model_sha256="ab" * 32,
        outputs=None if outputs is None else columns_of(outputs),
        probabilities=confidence,
        devices=None if devices is None else coded(devices.astype(str).astype(object)),
        right=right,
    )


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
