"""Counting a row at a time, as a device does: the standard library alone.

A row costs little because nearly every value takes the first branch: a float is a bisection, a text a look-up. What is rare
(other types, values that are missing) is sorted out by the rules of `cells`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import floor, isnan
from operator import itemgetter

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.cells import (
    category_text,
    confidence,
    confidence_cell,
    is_missing,
    latency_cell,
    nearest_double,
)
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.profile import MANY, Profile, Window
from mlpack_edge.profiles.spec import INPUT, OUTCOMES, OUTPUT, Categorical, Numeric, Presence, Spec

#: The values of a row: in the spec's order, or by feature name (a name that is absent is a missing value).
Row = Sequence[object] | Mapping[str, object]


class Tally:
    """The counters of the rows seen since it was made. Not safe to share between threads."""

    def __init__(self, spec: Spec) -> None:
        parts = groups(spec)
        self._spec = spec
        self._counts = [0] * parts[-1].stop
        self._sums = [0] * len(spec.numeric)
        self._inputs = _Features(INPUT, parts, self._counts, self._sums)
        self._outputs = _Features(OUTPUT, parts, self._counts, self._sums)
        starts = {part.name: part.start for part in parts if part.feature is None}
        self._latency, self._outcome = starts["latency"], starts["outcome"]
        self._confidence = starts["confidence"] if spec.confidence else -1
        self.rows = self.predictions = self.timed = 0

    def add(
        self,
        inputs: Row,
        outputs: Row | None = None,
        *,
        probabilities: Sequence[object] | None = None,
        latency: int | None = None,
        outcome: str | None = None,
    ) -> None:
        """Count a row.

        outputs: the values of the spec's output features (a label, a value). probabilities: of a classifier; the largest is
        its confidence. latency: of the call, in ns, where it was measured. outcome: one of spec.OUTCOMES; by default "ok"
        where outputs or probabilities were given and "not run" where not. Raises BadInput, and has counted nothing, for
        another number of values than the spec has features, an answer that is not there or should not be, a negative latency.
        """
        answered = outputs is not None or probabilities is not None
        if outcome is None:
            outcome = "ok" if answered else "not run"
        if outcome not in OUTCOMES:
            raise BadInput(f"a row cannot end as {outcome!r}", f"one of {', '.join(OUTCOMES)}")
        inputs = self._inputs.checked(inputs)
        if outcome == "ok":
            if (self._confidence >= 0) != (probabilities is not None):
                raise BadInput(
                    f"the profile {'counts' if self._confidence >= 0 else 'does not count'} confidence, and the row has "
                    f"{'no' if probabilities is None else 'class'} probabilities",
                    "give the probabilities of every row of a classifier, and of no other",
                )
            outputs = self._outputs.checked(() if outputs is None else outputs)
            sure = 0.0 if probabilities is None else confidence(probabilities)
        elif answered:
            raise BadInput(f"a row that was {outcome} has an answer", 'give no outputs, or the outcome "ok"')
        if latency is not None:
            if not isinstance(latency, int) or latency < 0:
                raise BadInput(
                    f"a call cannot have taken {latency!r} ns", "whole nanoseconds of a clock that never goes back"
                )
            self._counts[self._latency + latency_cell(latency)] += 1
            self.timed += 1
        self._inputs.count(inputs)
        self.rows += 1
        self._counts[self._outcome + OUTCOMES.index(outcome)] += 1
        if outcome == "ok" and outputs is not None:
            self._outputs.count(outputs)
            self.predictions += 1
            if probabilities is not None:
                self._counts[self._confidence + confidence_cell(sure)] += 1

    def profile(self, digest: bytes, window: Window, *, device: bytes = MANY, cohort: str = "") -> Profile:
        """What was counted. digest: of the spec (`spec_file.digest`), of which the first 16 bytes are kept."""
        return Profile(
            spec=digest[:16],
            model=bytes.fromhex(self._spec.model_sha256)[:16],
            device=device,
            cohort=cohort,
            window=window,
            rows=self.rows,
            predictions=self.predictions,
            timed=self.timed,
            counts=tuple(self._counts),
            sums=tuple(self._sums),
        )

    def clear(self) -> None:
        """Begin a new window."""
        self._counts[:] = [0] * len(self._counts)
        self._sums[:] = [0] * len(self._sums)
        self.rows = self.predictions = self.timed = 0


class _Features:
    """The features of one role, and the counters they share with the tally. A kind of feature is counted in one go."""

    def __init__(self, role: str, parts: Sequence[Group], counts: list[int], sums: list[int]) -> None:
        mine = [part for part in parts if part.feature is not None and part.feature.source.role == role]
        self._role, self._size = role, len(mine)
        self._names = [part.name for part in mine]
        self._counts, self._sums = counts, sums
        places: dict[type, list[int]] = {Numeric: [], Categorical: [], Presence: []}
        self._numbers: list[tuple[tuple[float, ...], int, int, float, float, int]] = []
        self._texts: list[tuple[dict[str, int], int]] = []
        self._present: list[int] = []
        for place, part in enumerate(mine):
            feature = part.feature
            places[type(feature)].append(place)
            if isinstance(feature, Numeric):
                top = len(feature.edges)
                self._numbers.append((feature.edges, part.start, top, feature.centre, 1 / feature.step, part.sum_index))
            elif isinstance(feature, Categorical):
                self._texts.append((category_cells(feature, part.start), part.stop))
            else:
                self._present.append(part.start)
        self._of_row = {kind: _picked(list(found)) for kind, found in places.items()}
        self._of_names = {kind: _picked([self._names[place] for place in found]) for kind, found in places.items()}

    def checked(self, row: Row) -> Row:
        """The row, with None under the names that a mapping lacks. Raises BadInput for too few or too many values."""
        if isinstance(row, Mapping):
            for name in self._names:
                if name not in row:
                    return [row.get(name) for name in self._names]
        elif len(row) != self._size:
            raise BadInput(
                f"a row of {len(row)} {self._role}s, where the profile counts {self._size}",
                f"give one value each for {', '.join(self._names) or 'none'}",
            )
        return row

    def count(self, row: Row) -> None:
        counts, sums = self._counts, self._sums
        of = self._of_names if isinstance(row, Mapping) else self._of_row
        for value, (edges, start, top, centre, inverse, place) in zip(of[Numeric](row), self._numbers, strict=True):
            if value.__class__ is not float:
                number = nearest_double(value)
                if number is None:
                    counts[start + top + 2] += 1
                    continue
                value = number
            cell = bisect_right(edges, value)
            if 0 < cell < top:
                counts[start + cell] += 1
                sums[place] += floor((value - centre) * inverse)
            elif not isnan(value):
                counts[start + cell] += 1
            else:  # NaN is below no edge, so it ends up behind the last
                counts[start + top + 1] += 1
        for value, (cells, stop) in zip(of[Categorical](row), self._texts, strict=True):
            if value.__class__ is not str:
                value = category_text(value)
                if value is None:
                    counts[stop - 1] += 1
                    continue
            counts[cells.get(value, stop - 2)] += 1
        for value, start in zip(of[Presence](row), self._present, strict=True):
            counts[start + is_missing(value)] += 1


def category_cells(feature: Categorical, start: int = 0) -> dict[str, int]:
    """The cell of every text of the closed vocabulary, of a feature whose first cell is `start`."""
    other = start + len(feature.categories)
    return dict.fromkeys(feature.known, other) | {text: start + cell for cell, text in enumerate(feature.categories)}


def _picked(keys: Sequence[object]) -> Callable[[Row], tuple[object, ...]]:
    """What takes the values at `keys` out of a row, always as a tuple."""
    if not keys:
        return lambda row: ()
    if len(keys) == 1:
        one: Callable[[Row], object] = itemgetter(keys[0])
        return lambda row: (one(row),)
    return itemgetter(*keys)
