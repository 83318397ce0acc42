"""Inputs moved by their last place, and how far answers are apart: whether a model has a stable answer at a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import Signature

Array = NDArray[Any]


def gap(a: Array, b: Array) -> Array:
    """|a - b| in float64, number by number: 0 where both are NaN, infinite where one is."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(np.isnan(apart), np.where(np.isnan(a) == np.isnan(b), 0.0, np.inf), apart)


def categorical_columns(signature: Signature) -> dict[str, list[int]]:
    """The columns that hold categories, by input: the number beside a category is another category."""
    found: dict[str, list[int]] = {}
    for column in signature.columns:
        if column.kind == "categorical":
            found.setdefault(column.input, []).append(column.index)
    return found


def perturbed(
    feeds: Mapping[str, Array], categorical: Mapping[str, list[int]], seed: int, nudge: float = 0.0
) -> dict[str, Array]:
    """Every floating-point number one unit in the last place up or down; zeros, categories and other inputs as they
    are (an error relative to zero is none). nudge: by up to that share of the row's largest magnitude instead."""
    random = np.random.default_rng(seed)
    made = {}
    for name, array in feeds.items():
        made[name] = array
        if array.dtype.kind == "f":
            direction = np.where(random.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
            made[name] = np.where(array == 0, array, np.nextafter(array, direction))
            if nudge:
                made[name] = _nudged(array, nudge, random)
            for index in categorical.get(name, ()):
                made[name][:, index] = array[:, index]
    return made


def _nudged(array: Array, nudge: float, random: np.random.Generator) -> Array:
    """Each number moved by up to `nudge` times the largest finite magnitude of its row."""
    magnitude = np.where(np.isfinite(array), np.abs(array), 0)
    largest = magnitude.max(axis=tuple(range(1, array.ndim)), keepdims=True) if array.ndim > 1 else magnitude
    with np.errstate(over="ignore", invalid="ignore"):
        moved = array + nudge * largest * random.uniform(-1, 1, array.shape)
    return np.asarray(np.where(np.isfinite(array), moved, array).astype(array.dtype))
