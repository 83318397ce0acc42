"""What the float model's outputs look like over all rows, and which of them name a class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import Signature, TensorSpec

Array = NDArray[Any]

#: Names that say an output's columns are classes, where no role does.
_CLASS_NAMES = re.compile(r"logit|softmax|(^|_)(score|prob|class)", re.IGNORECASE)
#: A lone output of so few columns, or of ImageNet's number, is taken for classes; embeddings are wider.
MOST_UNNAMED, IMAGENET = 100, (1000, 1001)
#: Probabilities add up to 1 within this.
SUM = 5e-3
#: Roles of outputs whose integers are quantities, not names.
_QUANTITIES = ("value", "transformed", "scores", "probabilities", "proportions")


@dataclass(slots=True)
class Seen:
    """One output over all rows. labels: whether its elements are names (texts, truth values, whole numbers without a role of
    a quantity). aligned: whether the first axis is that of the rows. sizes: of all axes, None for the first and for those
    that change from batch to batch; None where the rank does. columns: numbers a row where at most one axis beside the
    rows is longer than 1, else None. low, high: of what is finite. over: the axes along which all numbers are >= 0 and add
    up to 1: of `columns` where there are several, else the first and the last behind the rows are looked at."""

    spec: TensorSpec
    labels: bool = False
    aligned: bool = True
    sizes: tuple[int | None, ...] | None = None
    columns: int | None = None
    low: float = np.inf
    high: float = -np.inf
    over: tuple[int, ...] | None = None

    @property
    def shares(self) -> bool:
        """Whether every row is a distribution over several columns."""
        return bool(self.over) and (self.columns or 1) > 1

    @property
    def class_axis(self) -> int | None:
        """Along which the classes lie: that of several columns, else the one over which every position has a distribution."""
        if self.columns is not None:
            return _long_axis(self.sizes) if self.columns > 1 else None
        return self.over[-1] if self.over else None

    def add(self, array: Array, rows: int, first: bool) -> None:
        """array: what one batch of `rows` rows gave."""
        shape = (None, *array.shape[1:]) if array.ndim else ()
        if first:
            self.labels = array.dtype.kind in "USOb" or (array.dtype.kind in "iu" and self.spec.role not in _QUANTITIES)
            self.sizes = shape
        elif self.sizes is not None and len(self.sizes) == len(shape):
            self.sizes = tuple(a if a == b else None for a, b in zip(self.sizes, shape, strict=True))
        else:
            self.sizes = None
        self.aligned = self.aligned and array.ndim > 0 and len(array) == rows
        self.columns = _columns(self.sizes) if self.aligned else None
        if not self.labels and array.size:
            self._add_numbers(array)

    def _add_numbers(self, array: Array) -> None:
        numbers = array.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        self.low = min(self.low, float(finite.min(initial=np.inf)))
        self.high = max(self.high, float(finite.max(initial=-np.inf)))
        if self.over is None:
            self.over = self._places_of_classes(numbers) if self.aligned else ()
        self.over = tuple(axis for axis in self.over if self.aligned and _adds_up(numbers, axis))

    def _places_of_classes(self, numbers: Array) -> tuple[int, ...]:
        if self.columns is not None:
            return (_long_axis(self.sizes),) if self.columns > 1 else ()
        return tuple(axis for axis in sorted({1, numbers.ndim - 1}) if numbers.shape[axis] > 1)


def look(signature: Signature, answers: Iterable[Mapping[str, Array]], rows: Sequence[int]) -> dict[str, Seen]:
    """answers: of the float model, a batch each of so many `rows`."""
    specs = {spec.name: spec for spec in signature.outputs}
    seen: dict[str, Seen] = {}
    for batch, count in zip(answers, rows, strict=True):
        for name, array in batch.items():
            first = name not in seen
            one = seen.setdefault(name, Seen(specs.get(name) or TensorSpec(name, str(array.dtype), array.shape)))
            one.add(array, count, first)
    return seen


@dataclass(frozen=True, slots=True)
class Naming:
    """How an output names a class a row, or one a position of it. how: "labels" (its elements are names), "largest" (the place
    of the largest number along `axis`), "above" (the only number of a row is above `threshold`)."""

    output: str
    how: Literal["labels", "largest", "above"]
    threshold: float = 0.0
    axis: int = 1

    def labels(self, array: Array) -> Array:
        """`[rows]`, or `[rows, ...]` where every row holds several labels. NaN is never the largest, nor above."""
        if self.how == "labels":
            return array.reshape(len(array)) if array.ndim and array.size == len(array) else array
        if self.how == "above":
            return np.asarray(array.reshape(len(array)) > self.threshold)
        if np.isnan(array).any():
            array = np.nan_to_num(array, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        places = array.argmax(axis=self.axis)
        return np.asarray(places.reshape(len(array)) if places.size == len(array) else places)


def namings(signature: Signature, seen: Mapping[str, Seen]) -> list[Naming]:
    """The outputs whose change of class is a flip.

    Those that hold names, with the role "label" or without. Where there is none of the role "label", also those whose
    columns are classes (`are_classes`), and single numbers of the roles "probabilities" and "proportions" (above 0.5)
    and "scores" (above 0). Where a row has several positions (characters, pixels, anchors), each is counted. Anything else
    (boxes, maps, embeddings, scores a position that are no distribution) is judged by its noise alone.
    """
    found = [Naming(name, "labels") for name, one in seen.items() if one.labels or one.spec.role == "label"]
    if any(seen[one.output].spec.role == "label" for one in found):
        return found
    for name, one in seen.items():
        if one.labels:
            continue
        if are_classes(signature, seen, name) and one.class_axis is not None:
            found.append(Naming(name, "largest", axis=one.class_axis))
        elif one.columns == 1 and one.spec.role in ("probabilities", "proportions", "scores"):
            found.append(Naming(name, "above", 0.0 if one.spec.role == "scores" else 0.5))
    return found


def are_classes(signature: Signature, seen: Mapping[str, Seen], name: str) -> bool:
    """Whether an output's numbers along `Seen.class_axis` are the classes of one question.

    Distributions at every position of a row are. So is `[rows, columns]` (axes of size 1 aside) of the role "probabilities" or "scores"; without a role, where every row is a
    distribution, or there are as many columns as classes in the signature, or its name says so (logits, scores, ...), or
    it is the model's only output of numbers, with at most MOST_UNNAMED or IMAGENET columns.
    """
    one = seen[name]
    if one.labels or one.class_axis is None:
        return False
    if one.columns is None:
        return True
    if one.spec.role:
        return one.spec.role in ("probabilities", "scores")
    alone = sum(not other.labels for other in seen.values()) == 1
    return (
        one.shares
        or one.columns == len(signature.classes)
        or _CLASS_NAMES.search(name) is not None
        or (alone and (one.columns <= MOST_UNNAMED or one.columns in IMAGENET))
    )


def _columns(sizes: tuple[int | None, ...] | None) -> int | None:
    if sizes is None or any(size is None for size in sizes[1:]):
        return None
    long = [size for size in sizes[1:] if size != 1]
    return 1 if not long else long[0] if len(long) == 1 else None


def _long_axis(sizes: tuple[int | None, ...] | None) -> int:
    return next(axis for axis, size in enumerate(sizes or ()) if axis and size != 1)


def _adds_up(numbers: Array, axis: int) -> bool:
    return bool((numbers >= 0).all()) and bool((np.abs(numbers.sum(axis=axis) - 1) <= SUM).all())
