"""Where the time of one inference goes, operator by operator: the profilers of ONNX Runtime and of LiteRT.

A profiled call is slower than a plain one, so the whole is timed apart, by turns with the profiled calls, and the profile
is a pass of its own.

Both say more than a whole inference takes, or less, and why is known (`settled`):
- durations are cut to whole microseconds (onnxruntime/core/common/profiler.cc, xnn_get_runtime_profiling_info): an
  operator of XNNPACK takes up to 1 us longer than it says, and one of 0.3 us is 0;
- ONNX Runtime describes an operator's inputs and outputs before it stops the clock, 1 to 3 us, and LiteRT keeps a record
  of its own ones, a few tenths: the same for each event, and no more than the cheapest operator says at all;
- what a loop takes for itself cannot be told from what profiling its body costs.
The plain call says how much that is together: what lacks is shared out in proportion to the microseconds cut off, what is
over is taken off by event. `seen_ns` is what the profiler said.
"""

from __future__ import annotations

import resource
import statistics
import time
from typing import Any, Callable, Dict, List, Tuple

from mlpack_edge.devices.targets.agent.frames import Json, Refusal

#: Events kept of a pass: ONNX Runtime holds a million and drops what follows, LiteRT half a million.
EVENTS = 50_000
#: More than this in one call cannot be had whole.
MOST_EVENTS = 400_000
PROFILE_WARM_UP = 10
#: A block of calls, and all of them, unless fewer than ten were made.
BLOCK_S, PROFILE_S = 0.05, 4.0


class Row:
    """One operator over the calls, a number for each: `events`; `took` [ns]; `slack`, the most it may take beyond [ns].

    burdened: `took` holds what the profiler takes for an event.
    """

    def __init__(self, calls: int, burdened: bool, **facts: Any) -> None:
        self.facts, self.burdened = facts, burdened
        self.events, self.took, self.slack = [0] * calls, [0.0] * calls, [0.0] * calls

    def add(self, call: int, took: float, slack: float) -> None:
        self.events[call] += 1
        self.took[call] += took
        self.slack[call] += slack

    def means(self, kept: List[int]) -> List[float]:
        """Of events, took and slack. A call in which the processor was lost amid this operator is no measure of it: one
        that took more than four times the median and 3 us an event.
        """
        median = statistics.median(self.took[call] for call in kept)
        own = [call for call in kept if self.took[call] <= 4 * median + 3e3 * self.events[call]] or kept
        return [sum(part[call] for call in own) / len(own) for part in (self.events, self.took, self.slack)]


Rows = Dict[Any, Row]


class Stopwatch:
    """Times calls, and whether the thread lost the processor in one (getrusage(2): ru_nvcsw, ru_nivcsw)."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call, self.ns, self.clean = call, [], []  # type: Tuple[Callable[[], Any], List[int], List[bool]]

    def block(self, least: int, most: int, seconds: float) -> int:
        """Time calls for so long, within these counts; the first is not kept, for the caches' sake."""
        who = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
        now, usage, made = time.perf_counter_ns, resource.getrusage, 0
        until = now() + int(seconds * 1e9)
        while made < most and (made < least or now() < until):
            before = usage(who)
            start = now()
            self._call()
            self.ns.append(now() - start)
            after = usage(who)
            self.clean.append(bool(made) and (after.ru_nvcsw, after.ru_nivcsw) == (before.ru_nvcsw, before.ru_nivcsw))
            made += 1
        return made

    def wants(self, calls: int, start: float) -> bool:
        """Whether to go on: fewer than so many, and time is left since `start` (time.monotonic) or too few were made."""
        return len(self.ns) < calls and (len(self.ns) < 10 or time.monotonic() < start + PROFILE_S)

    def middle(self) -> List[int]:
        """The calls between the quartiles of the clean ones; of all, where fewer than 8 are clean."""
        places = [place for place, clean in enumerate(self.clean) if clean]
        if len(places) < 8:
            places = list(range(len(self.ns)))
        places.sort(key=lambda place: self.ns[place])
        return places[len(places) // 4 : len(places) - len(places) // 4]

    def middle_ns(self) -> float:
        kept = self.middle()
        return sum(self.ns[place] for place in kept) / len(kept)


def settled(method: str, rows: Rows, profiled: Stopwatch, plain: Stopwatch) -> Json:
    """The table: for each operator the mean over the middle calls, made to agree with the plain call within its bounds."""
    kept, made = profiled.middle(), []
    for measured in rows.values():
        events, seen, slack = measured.means(kept)
        counts = {"calls": round(events, 3), "seen_ns": seen, "ns": seen, "slack": slack}
        made.append({**measured.facts, **counts, "burdened": measured.burdened, "method": method})
    whole, seen = plain.middle_ns(), sum(row["seen_ns"] for row in made)
    if whole > seen:
        _share_out(made, whole - seen)
    else:
        _take_off(made, seen - whole)
    total = sum(row["ns"] for row in made)
    for row in made:
        row["share"] = row["ns"] / total if total else 1 / len(made)
        del row["slack"], row["burdened"]
    made.sort(key=lambda row: -row["ns"])
    return {
        "method": method, "calls": len(profiled.ns), "kept_calls": len(kept), "whole_ns": whole,
        "profiled_ns": profiled.middle_ns(), "seen_ns": seen, "operators_ns": total, "rows": made,
    }  # fmt: skip


def _share_out(made: List[Json], left: float) -> None:
    """In proportion to what each may take beyond what was seen, and never more than that."""
    room = sum(row["slack"] for row in made)
    for row in made:
        row["ns"] += row["slack"] * min(1.0, left / room) if room else 0.0


def _take_off(made: List[Json], over: float) -> None:
    """The profiler's own cost is in what it says, the same for each event, and no more than the cheapest says at all.

    What is over beyond that stays, and shows: `operators_ns` is above `whole_ns`.
    """
    told = [row for row in made if row["burdened"] and row["seen_ns"] > 0]
    events = sum(row["calls"] for row in told)
    cost = min([row["seen_ns"] / row["calls"] for row in told] + [over / events if events else 0.0])
    for row in told:
        row["ns"] -= cost * row["calls"]


def own_time(took: int, inside: int, events: int) -> Tuple[float, float]:
    """(certain, possible beyond) [ns] of an operator that took so many us, of which so many in so many events of its bodies.

    What the owner of a body does itself cannot be told from what profiling its body costs, so nothing of it is certain,
    and more than a microsecond for each event in it is not believed.
    """
    return (0.0, min(max(took - inside, 0), events) * 1e3) if events else (took * 1e3, 1e3)


def too_many_events(events: int, held: int) -> Refusal:
    return Refusal(
        "unsupported", "the model cannot be profiled: one inference makes %d events" % events,
        "the runtime's profiler holds %d and drops what follows" % held, "profile it on a smaller batch or shorter inputs",
    )  # fmt: skip
