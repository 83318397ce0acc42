"""The flat vector of a profile: which counters lie where, and which total they sum to."""

from __future__ import annotations

from dataclasses import dataclass

from mlpack_edge.profiles.cells import LATENCY_CELLS
from mlpack_edge.profiles.spec import CONFIDENCE_CELLS, OUTCOMES, OUTPUT, Feature, Numeric, Spec

#: Which of a profile's totals the counters of a group sum to.
ROWS, PREDICTIONS, TIMED = "rows", "predictions", "timed"


@dataclass(frozen=True, slots=True)
class Group:
    """Counters start to start + size of the vector. `feature` is None for confidence, latency and outcome; `sum_index` is
    the place among the sums of a numeric feature, -1 for the others."""

    name: str
    start: int
    size: int
    total: str
    feature: Feature | None = None
    sum_index: int = -1

    @property
    def stop(self) -> int:
        return self.start + self.size


def groups(spec: Spec) -> tuple[Group, ...]:
    """All groups in the order of the vector: features, confidence (of classifiers), latency, outcome."""
    found: list[Group] = []
    start = sums = 0
    for feature in spec.features:
        total = PREDICTIONS if feature.source.role == OUTPUT else ROWS
        numeric = isinstance(feature, Numeric)
        found.append(Group(feature.source.name, start, feature.size, total, feature, sums if numeric else -1))
        start += feature.size
        sums += numeric
    others = [("latency", LATENCY_CELLS, TIMED), ("outcome", len(OUTCOMES), ROWS)]
    if spec.confidence:
        others.insert(0, ("confidence", CONFIDENCE_CELLS, PREDICTIONS))
    for name, size, total in others:
        found.append(Group(name, start, size, total))
        start += size
    return tuple(found)


def shares(spec: Spec) -> tuple[int, ...]:
    """The reference's share of each counter in its group, in 1/65,536 rounded down, int `[vector]`; 0 where the reference
    counted nothing. They say what a report is expected to hold, so that it need send only what differs."""
    found: list[int] = []
    for group in groups(spec):
        counts = spec.reference.counts[group.start : group.stop]
        total = sum(counts)
        found += [(count << 16) // total if total else 0 for count in counts]
    return tuple(found)
