"""Numbers farther out than any of the reference: as unknown as a category that it has not seen. numpy.

A value that stands for "missing" (-999), a code that is new, a unit that changed for some rows: a few per mille of them move no
distribution by as much as its floor, and are never an accident where the reference has not one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.drift.calendar import Clock, clock
from mlpack_edge.profiles.drift.effects import parts
from mlpack_edge.profiles.layout import Group
from mlpack_edge.profiles.spec import Numeric, Spec

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Beyond:
    """never: bool `[size]`, cells outside the reference's range in which it has no row. time: of a number that is the time, whose
    rows there the days since may explain; None for all others."""

    never: Bools
    time: Clock | None

    def unexplained(self, last: int | None) -> Bools:
        """Of `never` the cells whose rows count as unseen in a window whose last day is `last` (since 1970, None for no date)."""
        return self.time.unexplained(last, self.never) if self.time else self.never

    def explained(self, last: int | None) -> Bools | None:
        """The others of `never`; None where the number is not the time."""
        return self.never & ~self.time.unexplained(last, self.never) if self.time else None


def beyond(spec: Spec, group: Group) -> Beyond | None:
    """None where the group is no number, or the reference has no value of it."""
    feature = group.feature
    if not isinstance(feature, Numeric):
        return None
    cells = parts(feature, np.array(spec.reference.counts[group.start : group.stop], np.int64)).cells
    if not cells.sum():
        return None
    edges = np.array(feature.edges)
    outside = np.concatenate([edges <= feature.low, [False]]) | np.concatenate([[False], edges >= feature.high])
    return Beyond(np.concatenate([outside & (cells == 0), [False, False]]), clock(spec, group))
