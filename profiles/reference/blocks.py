"""The reference counted block by block, and made a spec. numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Window
from mlpack_edge.profiles.reference.learned import learned
from mlpack_edge.profiles.spec import Blocks, Feature, Reference, Spec

#: Blocks that are told apart; a block more is a column that does not order the rows.
MOST = 4096
Key = int | float | str
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cutting:
    """unit, by: as in `Blocks`. least: rows of a block below which the last joins the one before it (unit "rows")."""

    unit: str
    by: str
    least: int = 0


def unfilled(model_sha256: str, features: tuple[Feature, ...], confidence: bool) -> Spec:
    """A spec whose reference is empty: what the reference is counted with."""
    blank = Spec(model_sha256, features, confidence, Reference(0, 0, 0, (), (), Blocks("rows", "", "", "", ()), {}), {})
    size = groups(blank)[-1].stop
    return replace(blank, reference=replace(blank.reference, counts=(0,) * size, sums=(0,) * len(blank.numeric)))


class BlockTallies:
    """A tally for each block. keys order the blocks, labels name them."""

    def __init__(self, spec: Spec, cutting: Cutting) -> None:
        self._spec, self._cutting = spec, cutting
        self._tallies: dict[Key, ColumnTally] = {}
        self._labels: dict[Key, str] = {}

    def tally(self, key: Key, label: str) -> ColumnTally:
        """Raises BadInput where there are more than MOST blocks."""
        if key not in self._tallies:
            if len(self._tallies) == MOST:
                raise BadInput(
                    f"the reference falls into more than {MOST:,} blocks by {self._cutting.by or 'rows'}",
                    "take larger blocks (--block day), or a column that orders the rows (--by)",
                )
            self._tallies[key], self._labels[key] = ColumnTally(self._spec), label
        return self._tallies[key]

    def filled(
        self,
        between: Mapping[str, float],
        devices: int,
        right: tuple[tuple[int, int], ...],
        lineage: Mapping[str, object],
    ) -> Spec:
        """The spec with its reference. Raises BadInput where no row was counted."""
        if not self._tallies:
            raise BadInput("the reference holds no rows", "look at what wrote it, or name one that holds rows")
        ordered = sorted(self._tallies)
        counts, sums, totals = self._arrays(ordered)
        blocks = Blocks(
            self._cutting.unit, self._cutting.by, self._labels[ordered[0]], self._labels[ordered[len(totals) - 1]],
            tuple(totals[:, 0].tolist()),
        )  # fmt: skip
        rows, predictions, timed = totals.sum(axis=0).tolist()
        reference = Reference(
            rows=rows,
            predictions=predictions,
            timed=timed,
            counts=tuple(counts.sum(axis=0).tolist()),
            sums=tuple(sums.sum(axis=0).tolist()),
            blocks=blocks,
            learned=learned(groups(self._spec), counts, sums, between),
            devices=devices,
            right=right,
        )
        return replace(self._spec, reference=reference, lineage=lineage)

    def _arrays(self, ordered: Sequence[Key]) -> tuple[Ints, Ints, Ints]:
        """Counts, sums and totals (rows, predictions, timed) of the blocks in order; a short last one of rows is counted with
        the one before it."""
        spec, size = self._spec, len(ordered)
        counts = np.empty((size, len(spec.reference.counts)), np.int64)
        sums = np.empty((size, len(spec.numeric)), np.int64)
        totals = np.empty((size, 3), np.int64)
        for place, key in enumerate(
            ordered
        ):  # one at a time: a profile's own numbers take several times as much memory
            part = self._tallies[key].profile(b"", Window(0, 0, 0))
            counts[place], sums[place] = part.counts, part.sums
            totals[place] = part.rows, part.predictions, part.timed
        if self._cutting.unit == "rows" and size > 1 and totals[-1, 0] < self._cutting.least:
            for array in (counts, sums, totals):
                array[-2] += array[-1]
            return counts[:-1], sums[:-1], totals[:-1]
        return counts, sums, totals
