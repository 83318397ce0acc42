"""How far a candidate's answers are from the float model's: flips of classes, and noise per output slice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.judging import noise
from mlpack_edge.converters.quantization.judging.axes import MOST_SLICES, slice_axes
from mlpack_edge.converters.quantization.judging.outputs import Naming, Seen, are_classes, namings
from mlpack_edge.converters.quantization.values import SliceFacts
from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.signature import Signature

Array = NDArray[Any]
Floats = NDArray[np.float64]

#: Slices that are reported.
WORST = 20


@dataclass(frozen=True, slots=True)
class Cut:
    """An output cut along `axis` (None: the whole is one slice). signals: float64 `[slices]`, see `noise.signals`. counts:
    numbers of each slice over all rows, float64 `[slices]`."""

    output: str
    axis: int | None
    signals: Floats
    counts: Floats


@dataclass(frozen=True, slots=True)
class Reference:
    """What candidates are held against, but for the answers themselves. named: labels that each of `namings` gives over all
    rows."""

    cuts: tuple[Cut, ...]
    namings: tuple[Naming, ...]
    named: tuple[int, ...]


def reference_of(
    signature: Signature, seen: Mapping[str, Seen], answers: Iterable[Mapping[str, Array]], whole: Collection[str] = ()
) -> Reference:
    """answers: of the float model, batch by batch; read once. whole: outputs that are one slice, and name no class."""
    places = [
        (name, axis)
        for name, one in seen.items()
        if not one.labels and one.spec.role != "label"
        for axis in (() if name in whole else _axes(one, are_classes(signature, seen, name))) or (None,)
    ]
    named = [one for one in namings(signature, seen) if one.output not in whole]
    labels = [0] * len(named)
    moments: dict[tuple[str, int | None], noise.Moments] = {}
    for batch in answers:
        for place, naming in enumerate(named):
            labels[place] += naming.labels(batch[naming.output]).size
        for name, axis in places:
            values = sliced(batch[name], axis)
            moments.setdefault((name, axis), noise.Moments.of(len(values))).add(values)
    cuts = tuple(
        Cut(
            name, axis,
            noise.signals(found, role=seen[name].spec.role, classes=are_classes(signature, seen, name)),
            found.count,
        )
        for (name, axis), found in moments.items()
    )  # fmt: skip
    return Reference(cuts, tuple(named), tuple(labels))


def _axes(one: Seen, classes: bool) -> tuple[int, ...]:
    if one.sizes is None:
        return ()
    if classes and one.class_axis is not None:
        size = one.sizes[one.class_axis]
        return (one.class_axis,) if size is not None and size <= MOST_SLICES else ()
    shape = one.spec.shape
    named = [isinstance(shape[axis], str) if axis < len(shape) else False for axis in range(len(one.sizes))]
    return slice_axes(one.sizes, named)


def sliced(array: Array, axis: int | None) -> Floats:
    """float64 `[slices, numbers]`."""
    numbers = array.astype(np.float64)
    if axis is None:
        return numbers.reshape(1, -1)
    return np.moveaxis(numbers, axis, 0).reshape(numbers.shape[axis], -1)


class Agreement:
    """Streamed over batches of one candidate."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._squares = [np.zeros(len(cut.signals)) for cut in reference.cuts]
        self._counts = [np.zeros(len(cut.signals)) for cut in reference.cuts]
        self._changed = [0] * len(reference.namings)
        self._named = [0] * len(reference.namings)
        self._apart = 0
        self._rows = 0

    def add(self, kept: Mapping[str, Array], answers: Mapping[str, Array], rows: int) -> None:
        """kept, answers: what the float model and the candidate gave for the same `rows` rows.

        An output of another shape (the number of detections changed) is a flip of all those rows, and no noise. Raises
        CheckFailed where the candidate lacks an output or gives codes for numbers.
        """
        for name, array in kept.items():
            check_alike(name, array, answers.get(name))
        self._rows += rows
        other = {name for name, array in kept.items() if answers[name].shape != array.shape}
        self._apart += rows if other else 0
        for place, cut in enumerate(self._reference.cuts):
            if cut.output not in other:
                reference = sliced(kept[cut.output], cut.axis)
                self._squares[place] += noise.squared_errors(reference, sliced(answers[cut.output], cut.axis))
                self._counts[place] += np.isfinite(reference).sum(axis=1)
        for place, naming in enumerate(self._reference.namings):
            if naming.output not in other:
                before, after = (naming.labels(one[naming.output]) for one in (kept, answers))
                self._changed[place] += int(np.count_nonzero(before != after))
                self._named[place] += before.size

    @property
    def flips(self) -> float | None:
        """The largest share of changed labels among the outputs that name classes, None without any."""
        shares = [changed / named for changed, named in zip(self._changed, self._named, strict=True) if named]
        if self._apart:
            shares.append(self._apart / self._rows)
        return max(shares) if shares else 0.0 if self._reference.namings else None

    def surely_above(self, limit: float, rows: int) -> bool:
        """Whether flips or noise of all `rows` rows will be above `limit`, whatever is still to come."""
        if self._apart > limit * rows:
            return True
        named = zip(self._changed, self._reference.named, strict=True)
        if any(changed > limit * total for changed, total in named):
            return True
        return any(
            bool((squares > limit * cut.counts * cut.signals).any())
            for cut, squares in zip(self._reference.cuts, self._squares, strict=True)
        )

    def slices(self) -> tuple[SliceFacts, ...]:
        """The noisiest first."""
        found = [
            SliceFacts(cut.output, index if cut.axis is not None else None, amount, cut.axis)
            for cut, squares, counts in zip(self._reference.cuts, self._squares, self._counts, strict=True)
            for index, amount in worst(squares / np.maximum(counts, 1.0) / cut.signals)
        ]
        return tuple(sorted(found, key=lambda one: -one.noise)[:WORST])


def worst(amounts: Floats) -> list[tuple[int, float]]:
    order = np.argsort(-amounts, kind="stable")[:WORST]
    return [(int(index), float(amounts[index])) for index in order]


def check_alike(name: str, reference: Array, candidate: Array | None) -> None:
    if candidate is None:
        raise CheckFailed(
            f"the quantized model has no output {name!r}",
            "report the model with this message: outputs keep their names",
        )
    if (reference.dtype.kind == "f") != (candidate.dtype.kind == "f"):
        raise CheckFailed(
            f"the output {name!r} is {reference.dtype} in the float model and {candidate.dtype} in the quantized one",
            "judge the form with float outputs: codes cannot be held against numbers",
        )
