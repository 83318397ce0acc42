"""What was measured of one model on one target: facts, every sample kept.

Whether they can be trusted is said with them (`verdict`); whether two results differ is for comparison.py, and
whether that is acceptable for gate.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.runtimes.measuring import bootstrap, statistics

Json = dict[str, Any]
View = Literal["experienced", "isolated"]
#: What isolated samples are isolated by: the processor was not lost, or nothing shared the core either.
Isolation = Literal["clean", "quiet"]
Stability = Literal["stable", "unstable"]
Difference = Literal["faster", "slower", "no difference", "unclear"]

SCHEMA = 1
#: In the place of `output_digest`, where the processes of one model gave different outputs.
DIFFERS = "differs between processes"
#: Fewer quiet samples of a launch than these have no median worth the name.
QUIET_SAMPLES = 10
#: Fewer launches with them say nothing of how launches vary.
QUIET_LAUNCHES = 3


@dataclass(frozen=True, slots=True, eq=False)  # eq: arrays have no single answer to ==
class Launch:
    """One process. `blocks_ns`: uint64 [n] each, one number a call, a block a turn (turns of several models alternate).

    `clean`: bool, same shapes: no context switch during that call. `round`: launches of one round ran side by side,
    taking turns, so that block i of one and block i of the other met the same load. `quiet`: bool, same shapes: before
    and after that call a probe of fixed work took no longer than on a core that is left alone; None where none was made.
    """

    blocks_ns: tuple[NDArray[np.uint64], ...]
    clean: tuple[NDArray[np.bool_], ...]
    load_ns: int
    first_call_ns: int
    peak_rss_bytes: int
    warm_up_calls: int
    settled: bool
    round: int
    quiet: tuple[NDArray[np.bool_], ...] | None = None

    def __post_init__(self) -> None:
        for flags in (self.clean, self.quiet):
            if flags is not None and [block.shape for block in self.blocks_ns] != [block.shape for block in flags]:
                raise ValueError("blocks_ns differ in shape from clean or quiet")

    def blocks(self, view: Literal["experienced", "clean", "quiet"]) -> tuple[NDArray[np.uint64], ...]:
        """The samples of one kind, by turn; "quiet" ones are clean as well. A block of them may be empty."""
        if view == "experienced":
            return self.blocks_ns
        return tuple(block[kept] for block, kept in zip(self.blocks_ns, self._kept(view), strict=True))

    def _kept(self, isolation: Isolation) -> tuple[NDArray[np.bool_], ...]:
        if isolation == "clean":
            return self.clean
        if self.quiet is None:
            return tuple(np.zeros_like(clean) for clean in self.clean)
        return tuple(clean & quiet for clean, quiet in zip(self.clean, self.quiet, strict=True))

    def to_json(self) -> Json:
        return {
            "round": self.round,
            "load_ns": self.load_ns,
            "first_call_ns": self.first_call_ns,
            "peak_rss_bytes": self.peak_rss_bytes,
            "warm_up_calls": self.warm_up_calls,
            "settled": self.settled,
            "blocks": [
                {"samples_ns": block.tolist(), "clean": _bits(clean)}
                | ({} if quiet is None else {"quiet": _bits(quiet)})
                for block, clean, quiet in zip(
                    self.blocks_ns, self.clean, self.quiet or (None,) * len(self.clean), strict=True
                )
            ],
        }


def _bits(flags: NDArray[np.bool_]) -> str:
    return "".join("01"[int(one)] for one in flags)


@dataclass(frozen=True, slots=True, eq=False)
class BenchResult:
    """Facts about one model on one target.

    `io`: "binding" | "run" | "invoke". `instructions` per inference: {total, simd, multiply_add, dot_product, loads,
    stores, ...}; with them `launches` is empty and nothing speaks of time, for emulation has none to tell. `profile`: the
    rows of profile.py, from a pass of its own.
    """

    model: str
    format: str
    model_sha256: str
    bytes: int
    target: str
    threads: int
    batch: int
    launches: tuple[Launch, ...]
    harness_floor_ns: float | None
    environment: Json
    input_digest: str
    output_digest: str
    io: str
    instructions: Json | None = None
    profile: list[Json] | None = None
    spinning: bool | None = None
    metric: Json | None = None
    calibrated_ns: Json | None = None
    #: A simulator's figures: {cycles, ...}; with them, too, nothing speaks of time.
    estimate: Json | None = None

    @property
    def counted(self) -> tuple[Literal["instructions", "cycles"], int] | None:
        """What stands in the place of time, and does not vary; None where time was measured."""
        if self.instructions is not None:
            return "instructions", int(self.instructions["total"])
        return None if self.estimate is None else ("cycles", int(self.estimate["cycles"]))

    def samples(self, view: View) -> NDArray[np.float64]:
        """All samples of all launches, float64 [n], ns."""
        kind = self.isolation if view == "isolated" else view
        return statistics.pooled([block for launch in self.launches for block in launch.blocks(kind)])

    @property
    def isolation(self) -> Isolation:
        """Which samples stand for the model by itself: the quiet ones where enough launches have enough of them."""
        return "quiet" if len(self.quiet_launches()) >= min(QUIET_LAUNCHES, max(len(self.launches), 1)) else "clean"

    def quiet_launches(self) -> tuple[Launch, ...]:
        """Those with enough samples that are clean and quiet to have a median of their own."""
        return tuple(
            launch for launch in self.launches if sum(block.size for block in launch.blocks("quiet")) >= QUIET_SAMPLES
        )

    @property
    def quiet_share(self) -> float | None:
        """Of all samples, those that are clean and quiet; None where no probe was made."""
        if not self.launches or any(launch.quiet is None for launch in self.launches):
            return None
        total = sum(block.size for launch in self.launches for block in launch.blocks_ns)
        return (
            sum(block.size for launch in self.launches for block in launch.blocks("quiet")) / total if total else None
        )

    @property
    def clean_share(self) -> float | None:
        return statistics.clean_share([block for launch in self.launches for block in launch.clean])

    @property
    def verdict(self) -> Stability | None:
        """ "unstable" under 20 % clean samples or fewer than 2 launches; None where nothing was timed by design."""
        if self.counted is not None:
            return None
        enough = len(self.launches) >= statistics.STABLE_LAUNCHES
        return "stable" if enough and (self.clean_share or 0.0) >= statistics.STABLE_SHARE else "unstable"

    def to_json(self) -> Json:
        """One entry of `results` in the document of `mlpack bench --json`; plain values, no NaN."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "format": self.format,
            "target": self.target,
            "threads": self.threads,
            "batch": self.batch,
            "bytes": self.bytes,
            "model_sha256": self.model_sha256,
            "input_digest": self.input_digest,
            "output_digest": self.output_digest,
            "io": self.io,
            "spinning": self.spinning,
            **self._latency(),
            "harness_floor_ns": self.harness_floor_ns,
            "verdict": self.verdict,
            "metric": self.metric,
            "profile": self.profile,
            "instructions": self.instructions,
            "estimate": self.estimate,
            "calibrated_ns": self.calibrated_ns,
            "environment": self.environment,
            "launches": [launch.to_json() for launch in self.launches],
        }

    def _latency(self) -> Json:
        """Null where nothing was timed. First call and load: the median launch; peak memory: the largest."""
        experienced, isolated = self.samples("experienced"), self.samples("isolated")
        per_launch = {
            name: np.array([getattr(launch, name) for launch in self.launches], np.float64)
            for name in ("first_call_ns", "load_ns")
        }
        return {
            "samples": int(experienced.size),
            "processes": len(self.launches),
            "latency_ns": {
                "p50": statistics.quantile(experienced, 0.5),
                "p90": statistics.quantile(experienced, 0.9),
                "p99": statistics.p99(experienced),
                "min": float(experienced.min()),
            }
            if experienced.size
            else None,
            "isolated_ns": {"p50": statistics.quantile(isolated, 0.5), "p99": statistics.p99(isolated)}
            if experienced.size
            else None,
            "ci95_ns": self._interval(),
            "clean_share": self.clean_share,
            "quiet_share": self.quiet_share,
            "isolated_by": self.isolation if isolated.size else None,
            **{name: statistics.quantile(values, 0.5) for name, values in per_launch.items()},
            "peak_rss_bytes": max((launch.peak_rss_bytes for launch in self.launches), default=None),
        }

    def _interval(self) -> list[float] | None:
        """The 95 % interval of the isolated median; None where fewer than two launches have clean samples."""
        low, high = bootstrap.interval_of_median([launch.blocks(self.isolation) for launch in self.launches])
        return [low, high] if math.isfinite(low) and math.isfinite(high) else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`b` against `a`: `ratio` of their latencies, b over a (above 1: b is slower), and its 95 % interval.

    `view`: what was compared; with "instructions" and "cycles" the ratio is of counts, and exact. `paired`: round by round, since
    the two ran side by side. `rounds`: how many pairs, or launches of the one with fewer. NaN where there is no figure.
    `notes`: what a reader should know of, and what does not forbid the comparison.
    """

    a: str
    b: str
    ratio: float
    ci95: tuple[float, float]
    verdict: Difference
    view: View | Literal["instructions", "cycles"]
    paired: bool
    rounds: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """One entry of `comparison` in the document; null for a figure that there is not."""
        return {
            "a": self.a,
            "b": self.b,
            "ratio": _finite(self.ratio),
            "ci95": [_finite(self.ci95[0]), _finite(self.ci95[1])],
            "verdict": self.verdict,
            "view": self.view,
            "paired": self.paired,
            "rounds": self.rounds,
            "notes": list(self.notes),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
