"""Counting whole columns with numpy: the counts and sums of `profiles.counting`, to the bit.

A column is a numpy array `[rows]`, a sequence, or `Coded` (a dictionary and codes into it, as Arrow and Parquet hold texts).
Numbers (bool, integer and float dtypes) are counted by array arithmetic, texts by their distinct values, and arrays of objects
that hold anything else a value at a time by the same rules as a row's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.cells import LATENCY_CELLS, category_text, is_missing, latency_edges, nearest_double
from mlpack_edge.profiles.counting import category_cells
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.profile import MANY, Profile, Window
from mlpack_edge.profiles.spec import CONFIDENCE_CELLS, INPUT, OUTCOMES, OUTPUT, Categorical, Feature, Numeric, Spec

#: Numbers at a time: what is made of them stays in the cache.
_STRETCH = 8192

Array = NDArray[Any]
Ints = NDArray[np.int64]
_LATENCY_EDGES = np.array(latency_edges(), np.int64)


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of values out of a short list: value i is `values[codes[i]]`, missing where the code is negative.

    codes: integer `[rows]`. values may hold None, and may repeat.
    """

    codes: Array
    values: Sequence[object]

    def __len__(self) -> int:
        return len(self.codes)

    def places(self) -> Ints:
        """int64 `[rows]`: each row's place in `values`, -1 where it is missing. Raises BadInput for a code beyond them."""
        found = self.codes.astype(np.int64)  # codes of 8 bits do not hold their number plus one
        found[found < 0] = -1
        if len(found) and int(found.max()) >= len(self.values):
            raise BadInput(
                f"code {int(found.max())} into a dictionary of {len(self.values)}", "give the dictionary of the codes"
            )
        return found


Column = Array | Coded | Sequence[object]
Columns = Mapping[str, Column] | Sequence[Column]


class ColumnTally:
    """The counters of the columns seen since it was made."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._groups = groups(spec)
        self._cells = {
            part.name: category_cells(part.feature) for part in self._groups if isinstance(part.feature, Categorical)
        }
        self._counts: Ints = np.zeros(self._groups[-1].stop, np.int64)
        self._sums = [0] * len(spec.numeric)
        self.rows = self.predictions = self.timed = 0

    def add(
        self,
        inputs: Columns,
        outputs: Columns | None = None,
        *,
        rows: int,
        probabilities: Array | None = None,
        latency: Array | None = None,
        outcomes: Mapping[str, int] | None = None,
    ) -> None:
        """Count `rows` rows.

        inputs: a column of `rows` values for each input feature, by name or in order; a name that is absent is missing in
        all rows. outputs and probabilities (`[answered, classes]`): of the rows that were answered, which may be fewer.
        latency: integer `[timed]`, ns, of at most all rows. outcomes: how many rows ended how, by spec.OUTCOMES; by default all "ok" where
        outputs or probabilities were given, all "not run" where not. Raises BadInput, and has counted nothing, where
        lengths or totals contradict each other.
        """
        answered = outputs is not None or probabilities is not None
        ended = _ended(outcomes or {"ok" if answered else "not run": rows}, rows)
        if (probabilities is None and ended[0] > 0) if self._spec.confidence else probabilities is not None:
            raise BadInput(
                f"{ended[0]} rows were answered, class probabilities were {'' if probabilities is not None else 'not '}given, "
                f"and the profile {'counts' if self._spec.confidence else 'does not count'} confidence",
                "give the probabilities of every answered row of a classifier, and of no other",
            )
        found: list[tuple[Group, Ints, int]] = []
        for role, columns, size in ((INPUT, inputs, rows), (OUTPUT, outputs, ended[0])):
            mine = [part for part in self._groups if part.feature is not None and part.feature.source.role == role]
            if columns is None:
                if not ended[0]:
                    continue
                columns = ()
            for part, column in zip(mine, _in_order(mine, columns, size), strict=True):
                found.append((part, *self._counted(part.feature, column)))  # type: ignore[arg-type]
        sure = None if probabilities is None else confidences(np.asarray(probabilities))
        if sure is not None and len(sure) != ended[0]:
            raise BadInput(
                f"probabilities of {len(sure)} rows, and {ended[0]} were answered", "give one row of them each"
            )
        times = None if latency is None else _latency_counts(np.asarray(latency))
        if times is not None and int(times.sum()) > rows:
            raise BadInput(f"{int(times.sum())} calls were timed, of {rows} rows", "at most one latency a row")
        for part, counts, increment in found:
            self._counts[part.start : part.stop] += counts
            if part.sum_index >= 0:
                self._sums[part.sum_index] += increment
        others = {"confidence": _confidence_counts(sure), "latency": times, "outcome": ended}
        for part in self._groups[len(self._spec.features) :]:
            of_rows = others[part.name]
            if of_rows is not None:
                self._counts[part.start : part.stop] += of_rows
        self.rows += rows
        self.predictions += int(ended[0])
        self.timed += 0 if times is None else int(times.sum())

    @property
    def counts(self) -> Ints:
        """The counters so far, int64 `[vector]`: a copy."""
        return self._counts.copy()

    @property
    def sums(self) -> tuple[int, ...]:
        """The sums so far, of each numeric feature."""
        return tuple(self._sums)

    def profile(self, digest: bytes, window: Window, *, device: bytes = MANY, cohort: str = "") -> Profile:
        """What was counted, as `counting.Tally.profile`."""
        return Profile(
            spec=digest[:16],
            model=bytes.fromhex(self._spec.model_sha256)[:16],
            device=device,
            cohort=cohort,
            window=window,
            rows=self.rows,
            predictions=self.predictions,
            timed=self.timed,
            counts=tuple(self._counts.tolist()),
            sums=tuple(self._sums),
        )

    def _counted(self, feature: Feature, column: Column) -> tuple[Ints, int]:
        if isinstance(feature, Numeric):
            return _numeric(feature, column)
        if isinstance(feature, Categorical):
            return _categorical(feature, self._cells[feature.source.name], column), 0
        missing = sum(times for value, times in _distinct(column) if is_missing(value))
        return np.array([len(column) - missing, missing], np.int64), 0


def confidences(probabilities: Array) -> NDArray[np.float64]:
    """`cells.confidence` of each row of float `[rows, classes]` or `[rows]`: float64 `[rows]`. Raises BadInput."""
    try:
        wide = probabilities.astype(np.float64) if probabilities.dtype.kind in "biufO" else None
    except (TypeError, ValueError):  # of objects
        wide = None
    if wide is None or wide.ndim not in (1, 2):
        raise BadInput(
            f"class probabilities are an array of {probabilities.dtype} {list(probabilities.shape)}",
            "numbers as [rows, classes], or [rows] where there are two classes",
        )
    if wide.ndim == 1:
        wide = wide[:, None]
    if wide.shape[1] == 1:
        wide = np.hstack([wide, 1.0 - wide])
    largest: NDArray[np.float64] = np.fmax.reduce(wide, axis=1, initial=0.0)
    return largest


def _confidence_counts(sure: NDArray[np.float64] | None) -> Ints | None:
    if sure is None:
        return None
    cells = (np.minimum(sure, 1.0) * CONFIDENCE_CELLS).astype(np.int64)
    return np.bincount(np.minimum(cells, CONFIDENCE_CELLS - 1), minlength=CONFIDENCE_CELLS).astype(np.int64)


def _latency_counts(nanoseconds: Array) -> Ints:
    if nanoseconds.size and (nanoseconds.dtype.kind not in "iu" or int(nanoseconds.min()) < 0):
        raise BadInput("a latency is negative or no integer", "whole nanoseconds of a clock that never goes back")
    capped = np.minimum(nanoseconds, _LATENCY_EDGES[-1]).astype(np.int64)
    cells = np.searchsorted(_LATENCY_EDGES, capped, side="right")
    return np.bincount(cells, minlength=LATENCY_CELLS).astype(np.int64)


def _ended(outcomes: Mapping[str, int], rows: int) -> Ints:
    wrong = [name for name in outcomes if name not in OUTCOMES]
    counts = [int(outcomes.get(name, 0)) for name in OUTCOMES]
    if wrong or min(counts) < 0 or sum(counts) != rows:
        raise BadInput(f"{dict(outcomes)} does not say how {rows} rows ended", f"counts of {', '.join(OUTCOMES)}")
    return np.array(counts, np.int64)


def _in_order(parts: Sequence[Group], columns: Columns, size: int) -> list[Column]:
    if isinstance(columns, Mapping):
        nothing = Coded(np.full(size, -1), ())
        found = [columns.get(part.name, nothing) for part in parts]
    else:
        found = list(columns)
    if len(found) != len(parts):
        raise BadInput(f"{len(found)} columns, where the profile counts {len(parts)}", ", ".join(p.name for p in parts))
    for part, column in zip(parts, found, strict=True):
        shape = column.shape if isinstance(column, np.ndarray) else (len(column),)
        if shape != (size,):
            raise BadInput(f"column {part.name!r} has the shape {shape}", f"{size} values are expected")
        if isinstance(column, np.ma.MaskedArray):
            raise BadInput(f"column {part.name!r} is a masked array", "fill it, with NaN or None where it is masked")
    return found


def _numeric(feature: Numeric, column: Column) -> tuple[Ints, int]:
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        return _numbers(feature, column)
    counts, top, total = [0] * feature.size, len(feature.edges), 0
    for value, times in _distinct(column):
        number = nearest_double(value)
        if number is None:
            counts[top + 2] += times
        elif isnan(number):
            counts[top + 1] += times
        else:
            cell = bisect_right(feature.edges, number)
            counts[cell] += times
            if 0 < cell < top:
                total += floor((number - feature.centre) * (1 / feature.step)) * times
    return np.array(counts, np.int64), total


def _numbers(feature: Numeric, column: Array) -> tuple[Ints, int]:
    edges, top = np.array(feature.edges), len(feature.edges)
    counts, total = np.zeros(feature.size, np.int64), 0
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the doubles is infinite; and only rows in no inner cell
        for at in range(0, len(column), _STRETCH):
            values = column[at : at + _STRETCH].astype(np.float64, copy=False)
            cells = np.searchsorted(edges, values, side="right")  # NaN is behind the last edge
            counts += np.bincount(cells, minlength=feature.size)
            outer = np.flatnonzero((cells == 0) | (cells == top))
            missing = int(np.isnan(values[outer]).sum())
            counts[top] -= missing
            counts[top + 1] += missing
            steps = values - feature.centre
            steps *= 1 / feature.step
            np.floor(steps, out=steps)
            steps[outer] = 0.0
            total += int(steps.sum())  # whole numbers below 2**53 in all, so that no addition rounds
    return counts, total


def _categorical(feature: Categorical, cells: Mapping[str, int], column: Column) -> Ints:
    counts = [0] * feature.size
    for value, times in _distinct(column):
        text = category_text(value)
        counts[feature.size - 1 if text is None else cells.get(text, feature.size - 2)] += times
    return np.array(counts, np.int64)


def _distinct(column: Column) -> Iterable[tuple[object, int]]:
    """Values and how often each occurs, in any order, perhaps in several portions: values that are equal and yet of another
    type (1, 1.0 and True; 0.0 and -0.0 are the same everywhere) are kept apart."""
    if isinstance(column, Coded):
        times = np.bincount(column.places() + 1, minlength=len(column.values) + 1).tolist()
        return [(None, times[0]), *zip(column.values, times[1:], strict=True)]
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        values, numbers = np.unique(column, return_counts=True)
        return zip(values.tolist() if values.dtype.itemsize <= 8 else values, numbers.tolist(), strict=True)
    items = column.tolist() if isinstance(column, np.ndarray) and column.dtype.kind in "OUST" else list(column)
    texts = Counter(item for item in items if item.__class__ is str)
    return [*texts.items(), *((item, 1) for item in items if item.__class__ is not str)]
