"""The reference counted block by block, and made a spec. numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.arrays.counting import ColumnTally
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.reference.learned import learned
from mlpack_edge.profiles.spec import Blocks, Feature, Reference, Spec

#: Blocks that are told apart; a block more is a column that does not order the rows.
MOST = 4096
Key = int | float | str


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
        parts = self._profiles()
        if not parts:
            raise BadInput("the reference holds no rows", "look at what wrote it, or name one that holds rows")
        ordered = sorted(self._labels)
        counts = np.array([part.counts for part in parts], np.int64)
        sums = np.array([part.sums for part in parts], np.int64).reshape(len(parts), -1)
        blocks = Blocks(
            self._cutting.unit, self._cutting.by, self._labels[ordered[0]], self._labels[ordered[-1]],
            tuple(part.rows for part in parts),
        )  # fmt: skip
        reference = Reference(
            rows=sum(part.rows for part in parts),
            predictions=sum(part.predictions for part in parts),
            timed=sum(part.timed for part in parts),
            counts=tuple(counts.sum(axis=0).tolist()),
            sums=tuple(sums.sum(axis=0).tolist()),
            blocks=blocks,
            learned=learned(groups(self._spec), counts, sums, between),
            devices=devices,
            right=right,
        )
        return replace(self._spec, reference=reference, lineage=lineage)

    def _profiles(self) -> list[Profile]:
        """Of the blocks in order; a short last one of rows is counted with the one before it."""
        parts = [self._tallies[key].profile(b"", Window(0, 0, 0)) for key in sorted(self._tallies)]
        if self._cutting.unit == "rows" and len(parts) > 1 and parts[-1].rows < self._cutting.least:
            last = parts.pop()
            parts[-1] = replace(
                parts[-1],
                rows=parts[-1].rows + last.rows,
                predictions=parts[-1].predictions + last.predictions,
                timed=parts[-1].timed + last.timed,
                counts=tuple(map(sum, zip(parts[-1].counts, last.counts, strict=True))),
                sums=tuple(map(sum, zip(parts[-1].sums, last.sums, strict=True))),
            )
        return parts
