"""A profile as a JSON document, read with its spec. Standard library alone. The same counts give the same document."""

from __future__ import annotations

from typing import Any

from mlpack_edge.profiles.cells import latency_edges
from mlpack_edge.profiles.layout import Group, groups
from mlpack_edge.profiles.profile import Profile
from mlpack_edge.profiles.spec import CONFIDENCE_CELLS, OUTCOMES, Categorical, Numeric, Spec

Json = dict[str, Any]


def profile_to_json(spec: Spec, profile: Profile) -> Json:
    """{"spec", "model", "device", "cohort" (digests in hexadecimal), "rows", "predictions", "timed", "window", "features",
    "confidence" (or null), "latency", "outcome"}.

    A feature has {"kind", "role", "rows", "counts" (of its cells), "missing", "unseen", "out_of_range", "invalid"}, and what names
    its cells: "edges" (cell k holds edges[k-1] <= x < edges[k]) or "categories" (then the other known values). A number has
    its "mean" over the rows in neither outermost cell, exact to 1/2,048 of its range; null without any, and with noise.
    "epsilon", "carried": with noise, and of how many reports the features that are told are; else null.
    """
    parts = groups(spec)
    named = {part.name: part for part in parts if part.feature is None}
    return {
        "spec": profile.spec.hex(),
        "model": profile.model.hex(),
        "device": profile.device.hex() or None,
        "cohort": profile.cohort,
        "rows": profile.rows,
        "predictions": profile.predictions,
        "timed": profile.timed,
        "epsilon": profile.epsilon / 1e6 if profile.epsilon else None,
        "carried": {part.name: reports for part, reports in zip(parts, profile.carried, strict=True) if reports}
        if profile.epsilon else None,
        "window": {
            "sequence": profile.window.sequence, "start": profile.window.start, "end": profile.window.end,
        },
        "features": {part.name: _feature(part, profile) for part in parts if part.feature is not None},
        "confidence": {
            "edges": [cell / CONFIDENCE_CELLS for cell in range(1, CONFIDENCE_CELLS)],
            "counts": _counts(named["confidence"], profile),
        } if spec.confidence else None,
        "latency": {"edges_ns": list(latency_edges()), "counts": _counts(named["latency"], profile)},
        "outcome": dict(zip(OUTCOMES, _counts(named["outcome"], profile), strict=True)),
    }  # fmt: skip


def _counts(part: Group, profile: Profile) -> list[int]:
    return list(profile.counts[part.start : part.stop])


def _feature(part: Group, profile: Profile) -> Json:
    feature, counts = part.feature, _counts(part, profile)
    assert feature is not None
    made: Json = {"role": feature.source.role, "rows": profile.total(part.total)}
    if feature.source.unit:
        made["unit"] = feature.source.unit
    if isinstance(feature, Numeric):
        cells, (missing, invalid) = counts[:-2], counts[-2:]
        low, high = feature.edges.index(feature.low), feature.edges.index(feature.high)
        inner = sum(cells[1:-1])
        return made | {
            "kind": "numeric", "counts": cells, "missing": missing, "unseen": 0,
            "out_of_range": sum(cells[: low + 1]) + sum(cells[high + 1 :]), "invalid": invalid,
            "mean": feature.centre + feature.step * (profile.sums[part.sum_index] / inner + 0.5) if inner and not profile.epsilon else None,
            "edges": list(feature.edges), "range": [feature.low, feature.high],
        }  # fmt: skip
    if isinstance(feature, Categorical):
        return made | {
            "kind": "categorical", "counts": counts[:-2], "missing": counts[-1], "unseen": counts[-2], "out_of_range": 0,
            "invalid": 0, "categories": list(feature.categories),
        }  # fmt: skip
    return made | {
        "kind": "presence", "counts": counts[:1], "missing": counts[1], "unseen": 0, "out_of_range": 0, "invalid": 0,
        "note": feature.note,
    }  # fmt: skip
