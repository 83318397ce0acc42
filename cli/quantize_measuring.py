"""How much of the time that is left goes to measuring, and on which candidates. Knows no target: what measures is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.cli.quantize_latency import LONG, SHORT, Effort, Measured

#: With hardly any time: enough to see a file that is far slower.
BRIEF = Effort(2, 0.5)
#: Times what is asked of timed calls that a slow model may take for its least number of calls.
_SLOW = 10.0

Measure = Callable[[Sequence[Path], Effort], Measured]


@dataclass(frozen=True, slots=True)
class Measuring:
    """measured: None where there was nothing to measure, or no time. left_out: files that there was no time for. each: seconds that
    a file took. end: of the time, by the clock."""

    measured: Measured | None
    left_out: tuple[Path, ...]
    effort: Effort
    each: float
    end: float

    def allows_longer(self, now: float) -> bool:
        """Whether there is time to measure one file and the float file with LONG."""
        return now + 2 * self.each * LONG.usual_s / self.effort.usual_s <= self.end


def measure_within(
    files: Sequence[Path],
    seconds: float,
    measure: Measure,
    clock: Callable[[], float] = time.monotonic,
    is_enough: Callable[[Measured], bool] = lambda measured: True,
) -> Measuring:
    """Measure `files`, the most wanted first, beside the float file, in about `seconds`: together where that is sure to
    be enough; else the first alone, and then as many of the others as what that took leaves time for. Where none
    of these is one to take (`is_enough`), the next follow one by one, briefly, while any time is left. A measurement that has
    begun is finished; without any time none is begun.
    """
    end = clock() + seconds
    if not files or seconds <= 0:
        return Measuring(None, tuple(files), SHORT, 0.0, end)
    if (len(files) + 1) * (SHORT.usual_s + _SLOW * SHORT.seconds) <= seconds:
        began = clock()
        found = measure(files, SHORT)
        return Measuring(found, (), SHORT, (clock() - began) / (len(files) + 1), end)
    effort = SHORT if 2 * SHORT.usual_s <= seconds else BRIEF
    began = clock()
    found = measure(files[:1], effort)
    each = (clock() - began) / 2
    more = max(0, int((end - clock()) / max(each, 1e-3)) - 1)  # the float file is measured again beside them
    rest = files[1 : 1 + more]
    if rest:
        found = found.again(measure(rest, effort))
    left = list(files[1 + more :])
    while left and clock() < end and not is_enough(found):
        found = found.again(measure([left.pop(0)], BRIEF))
    return Measuring(found, tuple(left), effort, each, end)
