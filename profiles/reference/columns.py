"""A spec from columns in memory, where what a model was given and answered is there already: no model is asked. numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.arrays.counting import Array, Coded
from mlpack_edge.profiles.reference.blocks import BlockTallies, Cutting, unfilled
from mlpack_edge.profiles.reference.cells_of import numeric_feature, text_feature
from mlpack_edge.profiles.reference.devices import DeviceSums
from mlpack_edge.profiles.reference.samples import NumberSample, TextCounts, row_hashes
from mlpack_edge.profiles.reference.slots import Slot
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Feature, Source, Spec
from mlpack_edge.profiles.spec_json import RESERVED

#: Numbers (bool, integer or float dtypes, NaN where missing) or categories, `[rows]`.
Columns = Mapping[str, Array | Coded]


def spec_from_columns(
    inputs: Columns,
    blocks: NDArray[np.int64],
    cutting: Cutting,
    *,
    model_sha256: str,
    outputs: Columns | None = None,
    probabilities: Array | None = None,
    devices: Coded | None = None,
    right: tuple[tuple[int, int], ...] = (),
    lineage: Mapping[str, object] | None = None,
) -> Spec:
    """The spec that `mlpack profile spec` makes of the same rows and answers, but for its lineage and the names of its blocks.

    inputs, outputs: all of as many rows; an array is a numeric feature, `Coded` a categorical one. blocks: int `[rows]`, the block of
    each row; numbers order the blocks and name them. probabilities: of a classifier, `[rows, classes]`. devices: which made each
    row. right: as `Reference.right`. Raises BadInput for no rows, for columns of different lengths, arrays of anything but numbers,
    and for a name that is there twice or that a profile uses itself.
    """
    given = [(role, dict(columns)) for role, columns in ((INPUT, inputs), (OUTPUT, outputs or {}))]
    rows = len(blocks)
    _expect_sound(given, rows, devices, probabilities)
    features = tuple(
        _feature(Slot(Source(name, role), isinstance(column, Coded)), column)
        for role, columns in given
        for name, column in columns.items()
    )
    tallies = BlockTallies(unfilled(model_sha256, features, probabilities is not None), cutting)
    order = np.argsort(blocks, kind="stable")
    names, starts = np.unique(blocks[order], return_index=True)
    for block, mine in zip(names.tolist(), np.split(order, starts[1:]), strict=True):
        tallies.tally(block, str(block)).add(
            {name: _taken(column, mine) for name, column in inputs.items()},
            None if outputs is None else {name: _taken(column, mine) for name, column in outputs.items()},
            rows=len(mine),
            probabilities=None if probabilities is None else probabilities[mine],
        )
    growth: dict[str, float] = {}
    count = 0
    if devices is not None:
        sums = DeviceSums(features)
        sums.update({name: column for _, columns in given for name, column in columns.items()}, devices)
        growth, count = sums.growth(), sums.devices
    return tallies.filled(growth, count, right, lineage or {})


def _expect_sound(
    given: list[tuple[str, dict[str, Array | Coded]]], rows: int, devices: Coded | None, probabilities: Array | None
) -> None:
    if not rows:
        raise BadInput("the reference holds no rows", "give at least one row")
    seen = set(RESERVED)
    for _, columns in given:
        for name, column in columns.items():
            if name in seen:
                raise BadInput(f"the name {name!r} is there twice, or is a profile's own", "name each column once")
            seen.add(name)
            if len(column) != rows:
                raise BadInput(f"the column {name!r} has {len(column)} rows, blocks are of {rows}", "give one row each")
            if not isinstance(column, Coded) and (column.ndim != 1 or column.dtype.kind not in "biuf"):
                raise BadInput(
                    f"the column {name!r} is an array of {column.dtype} {list(column.shape)}",
                    "numbers as [rows]; texts as Coded, a dictionary and codes into it",
                )
    if devices is not None and len(devices) != rows:
        raise BadInput(f"devices of {len(devices)} rows, blocks are of {rows}", "give one device each")
    if probabilities is not None and len(probabilities) != rows:
        raise BadInput(f"probabilities of {len(probabilities)} rows, blocks are of {rows}", "give one row of them each")


def _feature(slot: Slot, column: Array | Coded) -> Feature:
    if isinstance(column, Coded):
        seen = TextCounts()
        seen.update(column)
        return text_feature(slot, seen)
    sample = NumberSample()
    sample.update(column.astype(np.float64), row_hashes(0, len(column)))
    return numeric_feature(slot, sample)


def _taken(column: Array | Coded, rows: NDArray[np.int64]) -> Array | Coded:
    return Coded(column.codes[rows], column.values) if isinstance(column, Coded) else column[rows]
