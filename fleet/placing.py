"""Under which day a report is kept: that of its device's clock, unless it comes late or the clock cannot be right. numpy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.profiles.spec import Spec

Ints = NDArray[np.int64]

DAY = 86_400
#: Days after which a day's figures are taken as known: what comes later is a correction.
LATE_AFTER = 2
#: Seconds that a clock may be ahead of the receiver's.
AHEAD = DAY
#: What is said of a report's clock.
CLOCKS = ("ok", "future", "before the spec", "undated")
OK, FUTURE, EARLY, UNDATED = range(len(CLOCKS))
#: No report was made before.
_EARLIEST = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Rules:
    """late_after: days; not_before: seconds since 1970 before which no device can have counted by a spec."""

    late_after: int
    not_before: int


@dataclass(frozen=True, slots=True)
class Places:
    """Of each report: day int64 (since 1970) under which it is kept, clock int64 (place in CLOCKS), late bool."""

    day: Ints
    clock: Ints
    late: NDArray[np.bool_]


def earliest(spec: Spec) -> int:
    """Seconds since 1970 at which the spec's reference ended, where its blocks are days or hours; else the beginning of 2020, before
    which there were no reports: clocks that were reset say 1970, 2000 or 2010."""
    blocks = spec.reference.blocks
    if blocks.unit in ("day", "hour"):
        try:
            last = datetime.fromisoformat(blocks.last)
        except ValueError:
            return _EARLIEST
        return int(last.replace(tzinfo=last.tzinfo or UTC).timestamp())
    return _EARLIEST


def place(start: Ints, end: Ints, device: NDArray[np.bool_], received: int, rules: Rules) -> Places:
    """start, end: int64 `[reports]`, seconds since 1970 by the reporter's clock; device: whether it names its device; received:
    seconds since 1970.

    A report without a device is of a batch: its times are those of its data, so none is too early. Reports whose clock cannot
    be right are kept under the day on which they were received, and are not late.
    """
    clock = np.full(len(start), OK)
    clock[device & (start < rules.not_before)] = EARLY
    clock[np.maximum(start, end) > received + AHEAD] = FUTURE
    clock[(start == 0) & (end == 0)] = UNDATED
    today = received // DAY
    last = np.maximum(start, end - 1) // DAY
    right = clock == OK
    return Places(np.where(right, start // DAY, today), clock, right & (today - last > rules.late_after))
