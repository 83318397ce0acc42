"""Rows made from a signature, for the places where conversions go wrong.

Ordinary rows; rows on and one unit beside split thresholds; missing values; unknown categories; text outside ASCII;
extreme magnitudes; one row; no row. The same signature, hints and seed make the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import MISSING_TEXT, Column, Signature, TensorSpec
from mlpack_edge.runtimes.parity import RowGroup

Array = NDArray[Any]
Key = tuple[str, int]

#: The share of ordinary and of extreme rows that may be put down to the row itself (see RowGroup.excusable).
ORDINARY_EXCUSABLE, EXTREME_EXCUSABLE = 0.01, 0.25
#: Multiples of a column's own scale at which float32 loses digits, or that vanish beside other numbers.
EXTREMES = (1e3, -1e3, 1e6, -1e6, 1e9, -1e9, 1e-9, -1e-9, 1e-30, 0.0)
FARTHEST = max(EXTREMES)
TEXTS = (
    "the quick brown fox", "", " ", "Été à la plage", "straße GROSS", "ΑΒΓ αβγ", "привет мир", "日本語 テキスト",
    "naïve café", "e\u0301 combining", "emoji 🙂 end", "İstanbul ıI", "tab\tnew\nline", "a", "UPPER lower 123 4_5",
    "don't stop-me now", "ﬁligature", "x" * 300,
)  # fmt: skip
#: The dtypes of which rows can be made, and how many numbers one input may have in a batch.
_MADE = {
    "bool",
    "float16",
    "float32",
    "float64",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
MOST_NUMBERS = 1 << 28
UNKNOWN_TEXT = "mlpack-unseen-é"


@dataclass(frozen=True, slots=True)
class ColumnHint:
    """What is known of a column beyond its signature.

    edges: numbers at which a decision changes; rows are made on them and one unit beside. values: numbers that occur.
    low, high: the range in which the model was trained, where it is known. words: parts of texts that matter.
    """

    edges: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hints:
    """columns: by input name and column index. known_rows: rows the model holds (its training rows, its centres).
    sizes: for symbolic dimensions other than the batch, the sizes to try. empty_batch: whether a net is also run on no
    row: ONNX Runtime 1.31 ends the process on an empty batch in LSTM and GRU, so only graphs that guard them are."""

    columns: Mapping[Key, ColumnHint] = field(default_factory=dict)
    known_rows: Mapping[str, Array] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    empty_batch: bool = False


def make_groups(
    signature: Signature, hints: Hints, count: int, seed: int = 0, far: float = FARTHEST
) -> Iterator[RowGroup]:
    """At least `count` rows in groups of one kind each. far: the largest of EXTREMES that is used."""
    random = np.random.default_rng(seed)
    if not _is_tabular(signature):
        yield from _tensor_groups(signature, hints, count, random)
        return
    maker = _Maker(signature, hints, random, far)
    ordinary = maker.ordinary(count)
    yield RowGroup("ordinary", ordinary, excusable=ORDINARY_EXCUSABLE)
    yield RowGroup("single", _take(ordinary, 1), excusable=1.0)
    yield RowGroup("empty", _take(ordinary, 0))
    if hints.known_rows:
        yield RowGroup("known", {name: array[:count] for name, array in hints.known_rows.items()})
    if any(hint.edges.size for hint in hints.columns.values()):
        yield RowGroup("threshold", maker.on_edges(max(count // 2, 1)))
    yield RowGroup("extreme", maker.extreme(max(count // 4, 1)), excusable=EXTREME_EXCUSABLE)
    if any(column.missing for column in signature.columns):
        yield RowGroup("missing", maker.missing(max(count // 8, 4)))
    for column in signature.columns:
        if column.kind == "categorical" or column.kind == "text":
            yield RowGroup(f"unknown {column.name}", maker.unknown(column, max(count // 50, 4)))


def _is_tabular(signature: Signature) -> bool:
    return all(
        len(spec.shape) == 2 and isinstance(spec.shape[0], str) and isinstance(spec.shape[1], int)
        for spec in signature.inputs
    )


def _take(feeds: Mapping[str, Array], count: int) -> dict[str, Array]:
    return {name: array[:count] for name, array in feeds.items()}


class _Maker:
    """Makes tabular rows column by column."""

    def __init__(self, signature: Signature, hints: Hints, random: np.random.Generator, far: float) -> None:
        self.extremes = [number for number in EXTREMES if abs(number) <= far]
        self.signature, self.hints, self.random = signature, hints, random
        self.columns = {(column.input, column.index): column for column in signature.columns}

    def ordinary(self, count: int) -> dict[str, Array]:
        """Rows as the model was trained on, as far as that is known."""
        return {spec.name: self._tensor(spec, count) for spec in self.signature.inputs}

    def on_edges(self, count: int) -> dict[str, Array]:
        """Ordinary rows with half of their numbers on a threshold or one unit beside it."""
        feeds = self.ordinary(count)
        for spec in self.signature.inputs:
            array = feeds[spec.name]
            for index in range(array.shape[1]):
                edges = self._hint(spec.name, index).edges
                if edges.size and array.dtype.kind in "fiu":
                    chosen = self.random.choice(edges, count)
                    array[:, index] = np.where(
                        self.random.random(count) < 0.5, _beside(chosen, array.dtype, self.random), array[:, index]
                    )
        return feeds

    def extreme(self, count: int) -> dict[str, Array]:
        """Ordinary rows with one to three numbers far out."""
        feeds = self.ordinary(count)
        places = [
            (spec.name, index)
            for spec in self.signature.inputs
            for index in range(feeds[spec.name].shape[1])
            if feeds[spec.name].dtype.kind == "f" and not self._is_categorical(spec.name, index)
        ]
        for row in range(count if places else 0):
            for _ in range(int(self.random.integers(1, 4))):
                name, index = places[int(self.random.integers(len(places)))]
                hint = self._hint(name, index)
                scale = 1.0 if hint.low is None or hint.high is None else max(hint.high - hint.low, 1e-6)
                feeds[name][row, index] = float(self.random.choice(self.extremes)) * min(scale, 1e6)
        return feeds

    def missing(self, count: int) -> dict[str, Array]:
        """Ordinary rows with a quarter of the cells missing, where the model takes that; the first row wholly."""
        feeds = self.ordinary(count)
        for (name, index), column in self.columns.items():
            array = feeds[name]
            if column.missing and array.dtype.kind in "fO":
                gone = self.random.random(count) < 0.25
                gone[0] = True
                array[gone, index] = MISSING_TEXT if array.dtype.kind == "O" else np.nan
        return feeds

    def unknown(self, column: Column, count: int) -> dict[str, Array]:
        """Ordinary rows with categories the model has not seen, or texts of every script."""
        feeds = self.ordinary(count)
        array = feeds[column.input]
        if column.kind == "text":
            texts = np.array([*TEXTS, *(f"{word} {word.upper()}" for word in self._words(column)[:20])], object)
            feeds = self.ordinary(len(texts))
            feeds[column.input][:, column.index] = texts
        elif array.dtype.kind == "O":
            array[:, column.index] = UNKNOWN_TEXT
        elif array.dtype.kind == "b":
            pass
        else:
            numbers = [value for value in column.categories if isinstance(value, int | float)]
            array[:, column.index] = (max(numbers) if numbers else 0) + 1 + np.arange(count) % 3
        return feeds

    def _hint(self, name: str, index: int) -> ColumnHint:
        return self.hints.columns.get((name, index), ColumnHint())

    def _is_categorical(self, name: str, index: int) -> bool:
        column = self.columns.get((name, index))
        return column is not None and column.kind == "categorical"

    def _words(self, column: Column) -> tuple[str, ...]:
        return self._hint(column.input, column.index).words or ("alpha", "beta", "gamma")

    def _tensor(self, spec: TensorSpec, count: int) -> Array:
        width = spec.shape[1]
        assert isinstance(width, int)
        dtype = np.dtype(object) if spec.dtype == "string" else np.dtype(spec.dtype)
        array = np.empty((count, width), dtype)
        for index in range(width):
            array[:, index] = self._column(spec, index, count)
        return array

    def _column(self, spec: TensorSpec, index: int, count: int) -> Array:
        column = self.columns.get((spec.name, index))
        hint = self._hint(spec.name, index)
        if column is not None and column.categories:
            picked = self.random.integers(len(column.categories), size=count)
            return np.array([column.categories[i] for i in picked], object)
        if spec.dtype == "string":
            words = hint.words or ("alpha", "beta", "gamma")
            lengths = self.random.integers(0, 12, size=count)
            texts = [" ".join(self.random.choice(words, size=length)) for length in lengths]
            return np.array(texts, object)
        if spec.dtype == "bool":
            return self.random.random(count) < 0.5
        return self._numbers(spec.dtype, hint, count)

    def _numbers(self, dtype: str, hint: ColumnHint, count: int) -> Array:
        low, high = hint.low, hint.high
        if (low is None or high is None) and hint.edges.size:
            low, high = float(hint.edges.min()), float(hint.edges.max())
        if np.dtype(dtype).kind in "iu":
            bottom, top = (0, 20) if low is None or high is None else (int(np.floor(low)), int(np.ceil(high)))
            bounds = np.iinfo(np.dtype(dtype))
            bottom, top = max(bottom, bounds.min), min(max(top, bottom), bounds.max - 1)
            return self.random.integers(bottom, top + 1, size=count)
        if low is None or high is None:
            numbers = self.random.standard_normal(count) * self.random.choice([0.1, 1.0, 1.0, 10.0], count)
        else:
            span = max(high - low, 1e-6 * max(abs(high), abs(low), 1.0))
            numbers = self.random.uniform(low - 0.25 * span, high + 0.25 * span, count)
        if hint.values.size:
            known = self.random.random(count) < 0.3
            numbers = np.where(known, self.random.choice(hint.values, count), numbers)
        # Whole numbers and zeros meet thresholds, bin edges and `== 0` tests that random digits never do.
        draw = self.random.random(count)
        return np.where(draw < 0.05, 0.0, np.where(draw < 0.15, np.round(numbers), numbers))


def _beside(edges: Array, dtype: np.dtype[Any], random: np.random.Generator) -> Array:
    """Each edge in `dtype`, exactly or one unit in the last place below or above."""
    if dtype.kind in "iu":
        return np.floor(edges) + random.integers(0, 2, len(edges))
    at = edges.astype(dtype)
    step = random.integers(-1, 2, len(edges))
    beside = np.nextafter(at, np.where(step < 0, -np.inf, np.inf).astype(dtype))
    return np.where(step == 0, at, beside)


def _tensor_groups(signature: Signature, hints: Hints, count: int, random: np.random.Generator) -> Iterator[RowGroup]:
    """Rows for nets: batches of 1, 2, 7 and none, then of 32 until `count`; other symbolic sizes vary between them."""
    first = {size for spec in signature.inputs for size in spec.shape[:1] if isinstance(size, str)}
    dynamic = bool(first)
    fixed = [spec.shape[0] for spec in signature.inputs if spec.shape and isinstance(spec.shape[0], int)]
    batches = [1, 2, 7] if dynamic else [int(fixed[0]) if fixed else 1]
    done = sum(batches)
    while done < count:
        batches.append(min(32, count - done) if dynamic else batches[0])
        done += max(batches[-1], 1)
    if dynamic and hints.empty_batch:
        batches.insert(3, 0)
    for number, batch in enumerate(batches):
        feeds = {}
        # A state of [layers, batch, units] has the batch of the rows that it goes with.
        sizes = dict.fromkeys(first, batch)
        for spec in signature.inputs:
            shape = []
            for size in spec.shape:
                if isinstance(size, str):
                    options = hints.sizes.get(size, (8, 1, 5, 13))
                    size = sizes.setdefault(size, options[number % len(options)])
                shape.append(size)
            hint = hints.columns.get((spec.name, 0), ColumnHint())
            feeds[spec.name] = _tensor(spec, tuple(shape), hint, random)
        name = "ordinary" if (number >= 3 and batch) or not dynamic else f"batch {batch}"
        # A net may refuse sizes that were only guessed; that it takes some of them is seen to in check_parity.
        yield RowGroup(name, feeds, excusable=ORDINARY_EXCUSABLE, optional=batch == 0)


def _tensor(spec: TensorSpec, shape: tuple[int, ...], hint: ColumnHint, random: np.random.Generator) -> Array:
    if spec.dtype == "string":
        return random.choice(np.array(TEXTS, object), size=shape)
    if spec.dtype not in _MADE:
        raise Unsupported(
            f"input {spec.name!r} is {spec.dtype}, of which no rows can be made", "convert the inputs to float32 first"
        )
    if math.prod(shape) > MOST_NUMBERS:
        raise BadInput(
            f"input {spec.name!r} has {math.prod(shape):,} numbers in a batch of {shape[0] if shape else 1}",
            "name a smaller size for it with --shape",
        )
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "b":
        return random.random(shape) < 0.5
    if dtype.kind in "iu":
        low = 0 if hint.low is None else int(hint.low)
        usual = 255 if dtype == np.uint8 else 2  # bytes are most often an image
        high = usual if hint.high is None else int(hint.high)
        return random.integers(low, high + 1, size=shape).astype(dtype)
    scale = random.choice([0.1, 1.0, 1.0, 3.0], size=(shape[0], *[1] * (len(shape) - 1))) if shape else 1.0
    return (random.standard_normal(shape) * scale).astype(dtype)
