"""What the page shows of one result of `mlpack bench --json`, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlpack_edge.cli.bench_page.histogram import Floats
from mlpack_edge.cli.bench_page.labels import NAME_ROOM, short_names, shortened
from mlpack_edge.cli.bench_page.units import bytes_tick, count_text, known, time_text
from mlpack_edge.cli.outcome import printable
from mlpack_edge.runtimes.measuring.result import QUIET_SAMPLES

Json = dict[str, Any]
Spread = tuple[float, float, float]
NOTHING: Floats = np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """One process: all its samples and the isolated ones, nanoseconds, and of each the low end, median and high end of the bulk.

    The bulk is the middle 80 % of the samples; of a tool that prints summaries, the middle 90 %. None where not known.
    """

    number: int
    experienced: Floats
    isolated: Floats
    seen: Spread | None
    alone: Spread | None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """`key` counts from 1 and names the model where its name does not fit; `label` is the name at a bearable length. `kind` is what its cost is counted in: where that is
    not time, no time is read out of the record, whatever it holds. Times are nanoseconds, None where not known."""

    key: int
    name: str
    label: str
    kind: Literal["time", "instructions", "cycles"]
    facts: Json
    launches: tuple[Launch, ...]
    experienced: Floats
    isolated: Floats

    @property
    def timed(self) -> bool:
        return self.kind == "time"

    @property
    def stable(self) -> bool:
        return self.facts.get("verdict") == "stable"

    def number(self, *path: str) -> float | None:
        """The finite number at `path` of the record, else None."""
        found: Any = self.facts
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return known(found)

    @property
    def p50(self) -> float | None:
        """What the model is judged by: the isolated median where stable, else the experienced one."""
        isolated = self.number("isolated_ns", "p50") if self.timed else None
        if isolated is not None and self.stable:
            return isolated
        return self.number("latency_ns", "p50") if self.timed else None

    @property
    def cost(self) -> float | None:
        """What the model is compared by: nanoseconds, instructions or cycles."""
        if self.timed:
            return self.p50
        return (
            self.number("instructions", "total") if self.kind == "instructions" else self.number("estimate", "cycles")
        )

    @property
    def told(self) -> str:
        """Cost and size, for a chart's words."""
        size = self.number("bytes")
        cost = time_text(self.cost) if self.timed else f"{count_text(self.cost)} {self.kind}"
        weight = bytes_tick(size, 3) if size is not None else "unknown size"
        return f"{cost}, {weight}" + (", unstable" if self.timed and not self.stable else "")


def models_of(results: Sequence[Json]) -> list[Model]:
    """The models of a document, in its order."""
    names = [printable(str(record.get("model") or "unnamed")).replace("\n", " ") for record in results]
    labels = [shortened(label, NAME_ROOM, 13) for label in short_names(names)]
    models = []
    for index, (record, name, label) in enumerate(zip(results, names, labels, strict=True)):
        kind = _kind(record)
        quiet = record.get("isolated_by") == "quiet"
        found = [_launch(number, one, quiet) for number, one in enumerate(record.get("launches") or [], 1)]
        launches = tuple(found) if kind == "time" else ()
        experienced = _joined([launch.experienced for launch in launches])
        isolated = _joined([launch.isolated for launch in launches])
        models.append(Model(index + 1, name, label, kind, record, launches, experienced, isolated))
    return models


def _kind(record: Json) -> Literal["time", "instructions", "cycles"]:
    if record.get("estimate") is not None:
        return "cycles"
    emulated = (record.get("environment") or {}).get("emulated") is not None
    return "instructions" if emulated or record.get("instructions") is not None else "time"


def _launch(number: int, record: Json, quiet: bool) -> Launch:
    blocks = record.get("blocks") or []
    samples = [np.asarray(block["samples_ns"], np.float64) for block in blocks]
    kept = [_kept(block, quiet) for block in blocks]
    experienced = _joined(samples)
    isolated = _joined([values[flags] for values, flags in zip(samples, kept, strict=True)])
    summary = record.get("summary_ns") or {}
    printed = tuple(known(summary.get(name)) for name in ("p5", "p50", "p95"))
    seen = _spread(experienced, 1) or (None if None in printed else printed)
    alone = _spread(isolated, QUIET_SAMPLES if quiet else 1)
    return Launch(number, experienced, isolated, seen, alone)  # type: ignore[arg-type]  # None was looked for


def _kept(block: Json, quiet: bool) -> Any:
    """Which samples are isolated, bool [n]: clean ones, where there are enough of them those that are quiet as well."""
    kept = np.frombuffer(block["clean"].encode("ascii"), np.uint8) == ord("1")
    if not quiet:
        return kept
    flags = block.get("quiet")
    return kept & (np.frombuffer(flags.encode("ascii"), np.uint8) == ord("1")) if flags else np.zeros_like(kept)


def _spread(samples: Floats, enough: int) -> Spread | None:
    if len(samples) < enough:
        return None
    low, middle, high = (float(value) for value in np.percentile(samples, [10, 50, 90]))
    return low, middle, high


def _joined(parts: Sequence[Floats]) -> Floats:
    # One nanosecond is the least a logarithmic axis can show, and below what any clock here tells.
    return np.concatenate([np.maximum(part, 1.0) for part in parts]) if parts else NOTHING
