"""Rows made from a signature: every category, unknown and missing ones, extremes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.rows import Hints, make_groups

Array = NDArray[Any]

MADE_ROWS = 512


def ordinary_rows(signature: Signature, rows: int) -> dict[str, Array]:
    """`rows` ordinary rows by input; the same ones each time."""
    for group in make_groups(_with_texts(signature), Hints(), max(rows, 1)):
        if group.name in ("ordinary", "batch 1") and group.rows:
            places = np.arange(rows) % group.rows
            return {name: array[places] for name, array in group.feeds.items()}
    raise AssertionError("rows of a signature begin with ordinary ones")


def sample_rows(signature: Signature, rows: int) -> dict[str, Array]:
    """At least `rows` rows of all kinds by input: repeated where there are fewer kinds."""
    made = make_groups(_with_texts(signature), Hints(), MADE_ROWS)
    groups = [group.feeds for group in made if group.rows]
    groups.append(_each_category(signature))
    whole = {spec.name: np.concatenate([feeds[spec.name] for feeds in groups]) for spec in signature.inputs}
    count = len(next(iter(whole.values())))
    places = np.arange(max(rows, count)) % count
    return {name: array[places] for name, array in whole.items()}


def _with_texts(signature: Signature) -> Signature:
    """Inputs that take codes of texts (TFLite's) as inputs of those texts, of which rows can be made."""
    coded = {column.input for column in signature.columns if any(isinstance(item, str) for item in column.categories)}
    inputs = tuple(replace(spec, dtype="string") if spec.name in coded else spec for spec in signature.inputs)
    return replace(signature, inputs=inputs)


def _each_category(signature: Signature) -> dict[str, Array]:
    """Ordinary rows in which each column has each of its categories."""
    longest = max((len(column.categories) for column in signature.columns), default=0)
    feeds = ordinary_rows(signature, max(longest, 1))
    for column in signature.columns:
        array = feeds[column.input]
        if column.categories and array.ndim == 2:
            array[:, column.index] = [column.categories[row % len(column.categories)] for row in range(len(array))]
    return feeds
