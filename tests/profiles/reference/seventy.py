"""A spec of 50 numbers and 20 categories with 100 blocks, from random data; what sizes are measured on."""

from __future__ import annotations

import functools

import numpy as np

from mlpack_edge.profiles.arrays.counting import Coded, Column
from mlpack_edge.profiles.reference.blocks import BlockTallies, Cutting, unfilled
from mlpack_edge.profiles.reference.cells_of import numeric_feature, text_feature
from mlpack_edge.profiles.reference.samples import NumberSample, TextCounts, row_hashes
from mlpack_edge.profiles.reference.slots import Slot
from mlpack_edge.profiles.spec import Feature, Source, Spec

MODEL = "ab" * 32


def columns(rows: int, seed: int, numbers: int = 50, texts: int = 20) -> dict[str, Column]:
    """Numbers of several shapes with 1 % missing, texts of a dozen values with Zipf's frequencies."""
    random = np.random.default_rng(seed)
    made: dict[str, Column] = {}
    for place in range(numbers):
        shape = place % 4
        values = (
            random.normal(place, 1 + place, rows), random.lognormal(2, 1, rows), np.round(random.gamma(2, 40, rows)),
            np.where(random.random(rows) < 0.6, 0.0, random.exponential(10, rows)),
        )[shape]  # fmt: skip
        made[f"measured_value_{place}"] = np.where(random.random(rows) < 0.01, np.nan, values)
    for place in range(texts):
        codes = np.minimum(random.zipf(1.6, rows), 12 + place) - 1
        made[f"category_{place}"] = Coded(codes, tuple(f"value {number}" for number in range(12 + place)))
    return made


def features_of(given: dict[str, Column], rows: int) -> tuple[Feature, ...]:
    hashes = row_hashes(0, rows)
    found: list[Feature] = []
    for name, column in given.items():
        slot = Slot(Source(name, "input"), isinstance(column, Coded))
        if isinstance(column, Coded):
            seen = TextCounts()
            seen.update(column)
            found.append(text_feature(slot, seen))
        else:
            sample = NumberSample()
            sample.update(np.asarray(column), hashes)
            found.append(numeric_feature(slot, sample))
    return tuple(found)


@functools.cache
def seventy(rows: int = 100_000, blocks: int = 100, numbers: int = 50, texts: int = 20) -> Spec:
    given = columns(rows, 7, numbers, texts)
    spec = unfilled(MODEL, features_of(given, rows), False)
    tallies = BlockTallies(spec, Cutting("rows", ""))
    size = rows // blocks
    for block in range(blocks):
        part = {
            name: Coded(column.codes[block * size : (block + 1) * size], column.values)
            if isinstance(column, Coded)
            else np.asarray(column)[block * size : (block + 1) * size]
            for name, column in given.items()
        }
        tallies.tally(block, f"row {block * size}").add(part, rows=size)
    return tallies.filled({}, 0, (), {"data": [{"sha256": "cd" * 32, "rows": rows}]})
