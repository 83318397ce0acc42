"""Results of a tool that prints a summary of each launch, never its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.measuring.fields import MEASURE_AGAIN, Fields
from mlpack_edge.runtimes.measuring.result import BenchResult, Launch
from mlpack_edge.runtimes.measuring.stored import result_from_json

Json = dict[str, Any]

#: The tool reads the clock in whole microseconds.
RESOLUTION_NS = 1000
#: A median is compared where a step of the clock is at most 1 % of it: a quarter of what a comparison of figures as
#: experienced takes for a difference. Two medians of 3 and 4 us may be of the same model.
FINE_ENOUGH = 100
WHY_UNSTABLE = "the tool prints summaries, not samples: nothing tells its clean calls from interrupted ones"


@dataclass(frozen=True, slots=True)
class ToolLaunch:
    """One process of the tool: what it printed, in nanoseconds and bytes; None where this version of it prints nothing.

    `count` timed calls after `warm_up_calls` untimed ones. There is no p90, no p99 and no sample, and nothing that
    tells clean calls from interrupted ones. `load_ns`: reading the model, building the interpreter, planning memory.
    `memory_growth_bytes`: by how much the largest resident size grew since the tool began; `peak_rss_bytes`: the
    largest itself, only where the tool watched it. `inputs_confirmed`: the tool says that it took the values it was given,
    where others may have been drawn at random. `threads`: those the tool says it used. `delegates`: [{name, kernels,
    whole}]; kernels and whole are None where the runtime applied its default one itself.
    """

    count: int
    min_ns: float
    max_ns: float
    avg_ns: float
    std_ns: float | None
    p5_ns: float | None
    p50_ns: float | None
    p95_ns: float | None
    load_ns: int
    first_call_ns: int
    warm_up_calls: int
    warm_up_avg_ns: float
    memory_growth_bytes: int | None
    peak_rss_bytes: int | None
    threads: int | None
    delegates: tuple[Json, ...]
    inputs_confirmed: bool = False
    round: int = 0

    def to_json(self) -> Json:
        """One entry of `launches`; `summary_ns` is there in place of samples."""
        return {
            "round": self.round,
            "load_ns": self.load_ns,
            "first_call_ns": self.first_call_ns,
            "peak_rss_bytes": self.peak_rss_bytes,
            "memory_growth_bytes": self.memory_growth_bytes,
            "warm_up_calls": self.warm_up_calls,
            "warm_up_avg_ns": self.warm_up_avg_ns,
            "settled": None,
            "threads": self.threads,
            "delegates": list(self.delegates),
            "inputs_confirmed": self.inputs_confirmed,
            "summary_ns": {
                "count": self.count, "min": self.min_ns, "p5": self.p5_ns, "p50": self.p50_ns, "p90": None,
                "p95": self.p95_ns, "p99": None, "max": self.max_ns, "avg": self.avg_ns, "std": self.std_ns,
                "resolution": RESOLUTION_NS,
            },
            "blocks": [],
        }  # fmt: skip

    def for_comparison(self) -> Launch:
        """Its median as the one number of its round, not clean: two results can then be compared round by round.

        None where it is not known, or too short for the tool's clock. Whether the launch had settled is unknown; nothing
        may be said of it.
        """
        fine = self.p50_ns is not None and self.p50_ns >= FINE_ENOUGH * RESOLUTION_NS
        known = [self.p50_ns] if fine else []
        return Launch(
            (np.array(known, np.uint64),), (np.zeros(len(known), bool),), self.load_ns, self.first_call_ns,
            self.peak_rss_bytes or 0, self.warm_up_calls, True, self.round,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ToolResult(BenchResult):
    """A result made of summaries. `launches` hold the launches' medians, for comparison only; see `tool_launches`.

    It is never "stable", so that a comparison is one of figures as experienced: it can say "faster", "slower" or
    "unclear", never "no difference"; and against a stored result only "unclear", with its interval.
    """

    tool_launches: tuple[ToolLaunch, ...] = ()
    #: From a launch of its own, for watching the memory costs time.
    peak_rss_bytes: int | None = None

    def samples(self, view: Literal["experienced", "isolated"]) -> NDArray[np.float64]:
        """There are none."""
        return np.zeros(0, np.float64)

    @property
    def clean_share(self) -> None:
        """Unknown."""
        return None

    def to_json(self) -> Json:
        medians = {
            name: float(np.median([getattr(one, name) for one in self.tool_launches]))
            for name in ("first_call_ns", "load_ns")
        }
        return {
            **BenchResult.to_json(self),
            **summary(self.tool_launches),
            **medians,
            "peak_rss_bytes": self.peak_rss_bytes,
            "verdict_why": WHY_UNSTABLE,
            "launches": [launch.to_json() for launch in self.tool_launches],
        }


def is_summarised(record: Json) -> bool:
    """Whether a stored result was made of summaries."""
    launches = record.get("launches") if isinstance(record, dict) else None
    return isinstance(launches, list) and any(isinstance(one, dict) and "summary_ns" in one for one in launches)


def tool_result_from_json(record: Json) -> ToolResult:
    """Read what `ToolResult.to_json` wrote. BadInput names what is damaged."""
    plain = result_from_json({**record, "launches": []})
    where = f"the stored result of {plain.model!r}"
    launches = tuple(
        _launch_from_json(one, f"{where}, launch {number}") for number, one in enumerate(record["launches"])
    )
    known = {field.name: getattr(plain, field.name) for field in fields(BenchResult)}
    peak = Fields(record, where).optional("peak_rss_bytes", int)
    known["launches"] = tuple(launch.for_comparison() for launch in launches)
    return ToolResult(**known, tool_launches=launches, peak_rss_bytes=peak)


def _launch_from_json(record: Any, where: str) -> ToolLaunch:
    outer = Fields(record, where)
    inner = Fields(outer.required("summary_ns", dict), f"{where}, summary_ns")
    needed = {name: inner.number_or_none(name) for name in ("min", "max", "avg")}
    if None in needed.values() or not inner.whole("count"):
        raise BadInput(f"{where}, is damaged: it has no count, min, max or avg", MEASURE_AGAIN)
    return ToolLaunch(
        count=inner.whole("count"),
        **{f"{name}_ns": float(value) for name, value in needed.items() if value is not None},
        std_ns=inner.number_or_none("std"),
        p5_ns=inner.number_or_none("p5"),
        p50_ns=inner.number_or_none("p50"),
        p95_ns=inner.number_or_none("p95"),
        load_ns=outer.whole("load_ns"),
        first_call_ns=outer.whole("first_call_ns"),
        warm_up_calls=outer.whole("warm_up_calls"),
        warm_up_avg_ns=outer.number_or_none("warm_up_avg_ns") or 0.0,
        memory_growth_bytes=outer.optional("memory_growth_bytes", int),
        peak_rss_bytes=outer.optional("peak_rss_bytes", int),
        threads=outer.optional("threads", int),
        delegates=tuple(outer.required("delegates", list)),
        inputs_confirmed=outer.optional("inputs_confirmed", bool) or False,
        round=outer.whole("round"),
    )


def summary(launches: Sequence[ToolLaunch]) -> Json:
    """A result's figures of time from its launches, None where the tool gave none.

    `min` and `avg` are of all calls. p50 is the median of the launches' medians (of an even number, the mean of the two
    middle ones): the samples are not there. p90 and p99 cannot be had.
    """
    medians = [launch.p50_ns for launch in launches if launch.p50_ns is not None]
    known = len(medians) == len(launches)
    calls = sum(launch.count for launch in launches)
    return {
        "samples": calls,
        "processes": len(launches),
        "latency_ns": {
            "p50": float(np.median(medians)) if known else None,
            "p90": None,
            "p99": None,
            "min": min(launch.min_ns for launch in launches),
            "avg": sum(launch.avg_ns * launch.count for launch in launches) / calls,
            "p50_of": "launch medians" if known else None,
        },
        "isolated_ns": {"p50": None, "p99": None},
        "ci95_ns": None,
        "clean_share": None,
    }
