"""What the page shows of one result of `mlpack bench --json`, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpack_edge.cli.bench_page.histogram import Floats
from mlpack_edge.cli.bench_page.labels import short_names
from mlpack_edge.cli.bench_page.units import known
from mlpack_edge.cli.outcome import printable

Json = dict[str, Any]

CLASSES = ("total", "simd", "multiply_add", "dot_product", "loads", "stores")


@dataclass(frozen=True, slots=True)
class Launch:
    """One process: all its samples and the clean ones, nanoseconds."""

    number: int
    experienced: Floats
    isolated: Floats
    facts: Json


@dataclass(frozen=True, slots=True)
class Model:
    """`key` counts from 1 and names the model where its name does not fit. `timed` is False for emulated targets: whatever such a
    record holds, the page reads no time out of it. Times are nanoseconds, None where not known."""

    key: int
    name: str
    label: str
    timed: bool
    facts: Json
    launches: tuple[Launch, ...]

    @property
    def stable(self) -> bool:
        return self.facts.get("verdict") == "stable"

    @property
    def experienced(self) -> Floats:
        return _joined(launch.experienced for launch in self.launches)

    @property
    def isolated(self) -> Floats:
        return _joined(launch.isolated for launch in self.launches)

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
        """What the model is compared by: nanoseconds, or instructions where time means nothing."""
        return self.p50 if self.timed else self.number("instructions", "total")


def models_of(results: Sequence[Json]) -> list[Model]:
    """The models of a document, in its order."""
    names = [printable(str(record.get("model") or "unnamed")).replace("\n", " ") for record in results]
    labels = short_names(names)
    models = []
    for index, (record, name, label) in enumerate(zip(results, names, labels, strict=True)):
        environment = record.get("environment") or {}
        timed = record.get("instructions") is None and environment.get("emulated") is None
        launches = tuple(_launches(record.get("launches") or [])) if timed else ()
        models.append(Model(index + 1, name, label, timed, record, launches))
    return models


def _launches(records: Sequence[Json]) -> list[Launch]:
    launches = []
    for number, record in enumerate(records, 1):
        blocks = record.get("blocks") or []
        samples = [np.asarray(block["samples_ns"], np.float64) for block in blocks]
        clean = [np.frombuffer(block["clean"].encode("ascii"), np.uint8) == ord("1") for block in blocks]
        picked = [values[flags] for values, flags in zip(samples, clean, strict=True)]
        launches.append(Launch(number, _joined(samples), _joined(picked), record))
    return launches


def _joined(parts: Any) -> Floats:
    # One nanosecond is the least a logarithmic axis can show, and below what any clock here tells.
    found = [np.maximum(part, 1.0) for part in parts]
    return np.concatenate(found) if found else np.empty(0)
