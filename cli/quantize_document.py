"""The JSON of `mlpack quantize`: what was tried, what was chosen, and how it was proven."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpack_edge.cli.quantize_cautions import cautions
from mlpack_edge.cli.quantize_latency import Measured
from mlpack_edge.cli.quantize_limit import limit_of
from mlpack_edge.cli.quantize_request import QuantizeRequest
from mlpack_edge.cli.quantize_weighing import Weighed
from mlpack_edge.converters.quantization.choosing import Choice, Latency, Row, Tried
from mlpack_edge.converters.quantization.values import LayerFacts, Point, Quality

Json = dict[str, Any]
#: Signal over noise of what is as good as exact, dB: float32 itself holds about 140.
_EXACT_DB = 150.0


def document_of(request: QuantizeRequest, made: Json, paths: Mapping[Point, Path], weighed: Weighed) -> Json:
    """All of it but the proof and the output, which come when there is one. made: the child's answer. paths: the file of each
    point."""
    measured, choice = weighed.measured, weighed.choice
    shown = choice.tried
    point = shown.point if shown else None
    before = made["float"]["bytes"]
    return {
        "source": made["source"],
        "output": None,
        "scheme": point.recipe.scheme if point else None,
        "why": choice.why,
        "recipe": point.recipe.to_json() if point else None,
        "size": {"before": before, "after": point.bytes if point else None},
        "metric": _metric(point.quality) if point else None,
        "agreement": _agreement(point.quality) if point else None,
        "kept_float": [facts.layer.name for facts in point.layers if facts.kept_float] if point else [],
        "layers": [_layer(facts) for facts in point.layers] if point else [],
        "float_ns": measured.float_ns if measured else None,
        "latency": _against(request, measured, shown, paths) if shown else None,
        "candidates": [_candidate(row, measured, paths) for row in choice.rows],
        "left_out": made["search"]["left_out"],
        "time_limit": limit_of(request.seconds, made, weighed),
        "nearest": [_nearest(one, choice) for one in choice.nearest],
        "calibration": made["calibration"],
        "parity": None,
        "signature": made["signature"],
        "lineage": None,
        "notes": [
            *cautions(request, choice),
            *made["notes"],
            *_named(measured, paths),
            *(point.notes if point else ()),
        ],
    }


def _named(measured: Measured | None, paths: Mapping[Point, Path]) -> list[str]:
    """What measuring had to say, of candidates by their names."""
    found = dict.fromkeys(measured.notes if measured else ())
    labels = {str(path): point.label for point, path in paths.items()}
    named = []
    for text in found:
        for path, label in labels.items():
            text = text.replace(path, label)
        named.append(text)
    return named


def _metric(quality: Quality) -> Json:
    return {
        "name": quality.metric, "before": quality.before, "after": quality.after, "drop": quality.drop, "rows": quality.rows
    }  # fmt: skip


def _agreement(quality: Quality) -> Json:
    found = quality.to_json()
    return {"flips": found["flips"], "slices": found["slices"]}


def with_quality(document: Json, quality: Json) -> Json:
    """The figures of the proof, which are against the source itself, in place of those of the choice."""
    metric = {key: quality[key] for key in ("name", "before", "after", "drop", "rows")}
    return document | {"metric": metric, "agreement": {"flips": quality["flips"], "slices": quality["slices"]}}


def _layer(facts: LayerFacts) -> Json:
    return {
        "name": facts.layer.name, "op_type": facts.layer.op_type, "weight_bytes": facts.layer.weight_bytes,
        "noise_db": _decibel(facts.noise), "kept_float": facts.kept_float, "stored": facts.stored,
    }  # fmt: skip


def _decibel(noise: float | None) -> float | None:
    """Signal over noise; None where nobody measured, 0 where nothing but noise is left."""
    if noise is None:
        return None
    if not math.isfinite(noise):
        return 0.0
    return min(_EXACT_DB, 10 * math.log10(1 / noise)) if noise > 0 else _EXACT_DB


def _candidate(row: Row, measured: Measured | None, paths: Mapping[Point, Path]) -> Json:
    point = row.tried.point
    verdict = "written" if row.chosen else "; ".join(rule.text for rule in row.broken) or "fits"
    return {
        "label": point.label, "scheme": point.recipe.scheme, "recipe": point.recipe.to_json(), "bytes": point.bytes,
        "metric": _metric(point.quality), "flips": point.quality.flips,
        "latency": _latency(row.tried.latency, measured, paths.get(point)),
        "kept_float": [facts.layer.name for facts in point.layers if facts.kept_float],
        "verdict": verdict, "broken": [rule.name for rule in row.broken], "pareto": row.pareto, "chosen": row.chosen,
        "notes": list(point.notes),
    }  # fmt: skip


def _latency(latency: Latency | None, measured: Measured | None, path: Path | None) -> Json | None:
    if latency is None or measured is None:
        return None
    return {
        "after_ns": latency.ns, "ratio": latency.ratio, "ci95": list(latency.ci95) if latency.ci95 else None,
        "verdict": latency.verdict, "view": measured.views.get(path) if path else None, "refused": latency.refused or None,
        "estimate": measured.estimates.get(path) if path else None,
    }  # fmt: skip


def _against(
    request: QuantizeRequest, measured: Measured | None, shown: Tried, paths: Mapping[Point, Path]
) -> Json | None:
    found = _latency(shown.latency, measured, paths[shown.point])
    if found is None or measured is None:
        return None
    return {"before_ns": measured.float_ns, **found, "target": request.target}


def _nearest(one: Tried, choice: Choice) -> Json:
    rules = next(row.broken for row in choice.rows if row.tried is one)
    return {
        "label": one.point.label, "bytes": one.point.bytes, "metric": _metric(one.point.quality),
        "breaks": [rule.text for rule in rules],
    }  # fmt: skip
