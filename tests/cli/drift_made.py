"""Specs and days of profiles for the tests of `mlpack drift`, its page and its files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mlpack_edge.profiles.arrays.counting import Coded, Column, ColumnTally
from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.reference.blocks import BlockTallies, Cutting, unfilled
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import plain, profile_of, spec_of
from tests.profiles.reference.seventy import MODEL, columns, features_of

Change = Callable[[dict[str, np.ndarray], int], None]
#: 2026-01-01, in days since 1970.
FIRST = 20_454
DAY = 86_400


def unchanged(table: dict[str, np.ndarray], day: int) -> None:
    """A day like any other."""


@functools.cache
def plain_spec(blocks: int = 100, rows: int = 300, seed: int = 1) -> Spec:
    """Two numbers, categories and a number of few values (`tests.profiles.drift.made.plain`), in days; half of the answers
    are confident."""
    random = np.random.default_rng(seed)
    table = plain(random, blocks * rows)
    first = np.repeat(np.arange(blocks), rows)
    answers = {"label": np.where(random.random(len(first)) < 0.3, "late", "on time").astype(object)}
    sure = random.uniform(0.5, 1.0, (len(first), 2))
    right = tuple((3 * rows if cell >= 10 else 0, int(rows * 0.15 * cell) if cell >= 10 else 0) for cell in range(20))
    return spec_of(table, first, outputs=answers, confidence=sure, right=right)


def plain_days(
    spec: Spec, days: int, change: Change = unchanged, rows: int = 300, devices: int = 0, seed: int = 2
) -> list[Profile]:
    """A profile a day (and a device), from FIRST on; `change` does something to the rows of a day."""
    random = np.random.default_rng(seed)
    found = []
    for day in range(days):
        for device in range(max(devices, 1)):
            table = plain(random, rows)
            change(table, day)
            answers = {"label": np.where(random.random(rows) < 0.3, "late", "on time").astype(object)}
            sure = random.uniform(0.5, 1.0, (rows, 2))
            name = device.to_bytes(16, "big") if devices else b""
            found.append(profile_of(spec, table, FIRST + day, outputs=answers, confidence=sure, device=name))
    return found


def june(table: dict[str, np.ndarray], day: int) -> None:
    """From the 31st day on: `x` moves by .6 standard deviations, a tenth of `amount` is missing, `kind` has a new category."""
    if day >= 30:
        table["x"] += 0.6
        table["amount"][::10] = np.nan
        table["kind"][::25] = "neo"


def report_of(spec: Spec, profiles: Sequence[Profile], lengths: Sequence[int] = (1, 7, 28)) -> DriftReport:
    return drift(spec, digest(spec), profiles, lengths)


@functools.cache
def seventy_days(days: int = 120, rows: int = 250, every: bool = False) -> tuple[Spec, list[Profile]]:
    """50 numbers and 20 categories, a reference of 100 days and a profile for each of `days`; ten features move at the end, or every
    number from the first day on."""
    blocks = 100
    given = columns(blocks * rows, 7)
    spec = unfilled(MODEL, features_of(given, blocks * rows), False)
    tallies = BlockTallies(spec, Cutting("day", "when"))
    for block in range(blocks):
        tallies.tally(block, f"day {block}").add(_part(given, block * rows, rows), rows=rows)
    spec = tallies.filled({}, 0, (), {})
    profiles = []
    later = columns(days * rows, 8)
    for day in range(days):
        part = _part(later, day * rows, rows)
        if every or day >= 2 * days // 3:
            for place in range(50) if every else range(0, 40, 4):
                name = f"measured_value_{place}"
                part[name] = np.asarray(part[name]) + 1.5 * (1 + place)
        tally = ColumnTally(spec)
        tally.add(part, None, rows=rows)
        window = Window(day, (FIRST + day) * DAY, (FIRST + day + 1) * DAY)
        profiles.append(replace(tally.profile(digest(spec), window)))
    return spec, profiles


def _part(given: dict[str, Column], start: int, rows: int) -> dict[str, Column]:
    here = slice(start, start + rows)
    return {
        name: Coded(column.codes[here], column.values) if isinstance(column, Coded) else np.asarray(column)[here]
        for name, column in given.items()
    }
