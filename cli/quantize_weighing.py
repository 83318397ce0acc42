"""Measure what keeps the budgets, and choose: within the time that is left, and longer where it is open whether the chosen one is
slower."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlpack_edge.cli.outcome import show_stage
from mlpack_edge.cli.quantize_latency import LONG, Effort, Measured, measure
from mlpack_edge.cli.quantize_measuring import measure_within
from mlpack_edge.cli.quantize_request import QuantizeRequest
from mlpack_edge.converters.quantization.choosing import Budget, Choice, Latency, Tried, broken_rules, choose
from mlpack_edge.converters.quantization.values import Point
from mlpack_edge.runtimes.measuring.comparison import MARGIN

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Weighed:
    """measured: None where there was nothing to measure, or no time. not_measured: points that there was no time for. unsure: the
    chosen point where there was no time to find out whether it is slower than the float model."""

    measured: Measured | None
    choice: Choice
    not_measured: tuple[Point, ...]
    unsure: Point | None = None


def weigh(request: QuantizeRequest, made: Json, files: Mapping[Point, Path], points: Sequence[Point]) -> Weighed:
    """files: of the points that keep the budget of loss. Raises MlpackError where the float file could not be measured."""
    before = made["float"]["bytes"]
    wanted = _best_of_each(request, files, before)
    if wanted and made["search"]["seconds_left"] > 0:
        count = f"{len(wanted)} candidate{'s' if len(wanted) > 1 else ''}"
        show_stage(f"measuring {count} and the float model on {request.target}")
    found = measure_within(
        [files[point] for point in wanted], made["search"]["seconds_left"], partial(_measure, request, made),
        is_enough=lambda measured: _chosen(request, before, points, files, measured, frozenset()).tried is not None,
    )  # fmt: skip
    left_out = tuple(point for point in wanted if files[point] in found.left_out)
    measured = found.measured
    unmeasured = frozenset(left_out) if measured is None else frozenset()
    choice = _chosen(request, before, points, files, measured, unmeasured)
    sure: set[Path] = set()
    while measured is not None and choice.tried is not None and _may_be_slower(choice.tried, request):
        path = files[choice.tried.point]
        if path in sure:
            break
        if not found.allows_longer(time.monotonic()):
            return Weighed(measured, choice, left_out, choice.tried.point)
        sure.add(path)
        show_stage(f"measuring {choice.tried.point.label} and the float model on {request.target} again, longer")
        measured = measured.again(_measure(request, made, [path], LONG))
        choice = _chosen(request, before, points, files, measured, unmeasured)
    return Weighed(measured, choice, left_out)


def _may_be_slower(chosen: Tried, request: QuantizeRequest) -> bool:
    latency = chosen.latency
    return (
        request.max_size is None and latency is not None and latency.verdict == "unclear"
        and latency.ratio is not None and latency.ratio > 1 + MARGIN
    )  # fmt: skip


def _measure(request: QuantizeRequest, made: Json, drafts: Sequence[Path], effort: Effort) -> Measured:
    sample = made["sample"]
    return measure(request, Path(made["float"]["path"]), drafts, Path(sample["path"]), sample["shapes"], effort)


def _best_of_each(request: QuantizeRequest, files: Mapping[Point, Path], before: int) -> list[Point]:
    """The best of each way that could be taken whatever its speed (see `Point.order`), the smallest first."""
    budget = Budget(request.max_drop, request.max_size)
    best: dict[str, Point] = {}
    for point in sorted(files, key=lambda point: point.order):
        if not broken_rules(Tried(point), budget, before):
            best.setdefault(point.recipe.name, point)
    return sorted(best.values(), key=lambda point: point.bytes)


def _chosen(
    request: QuantizeRequest,
    before: int,
    points: Sequence[Point],
    files: Mapping[Point, Path],
    measured: Measured | None,
    unmeasured: frozenset[Point],
) -> Choice:
    """Of those that were measured; what nobody measured is neither taken nor near, but for `unmeasured`: where there was no time
    to measure any."""
    nanoseconds = request.max_latency * 1e9 if request.max_latency is not None else None
    budget = Budget(request.max_drop, request.max_size, nanoseconds)
    lasting = Budget(request.max_drop, request.max_size)
    tried = [Tried(point, _latency(point, files, measured)) for point in points]
    known = [
        one for one in tried if one.latency is not None or one.point in unmeasured or broken_rules(one, lasting, before)
    ]
    return choose(known, budget, before)


def _latency(point: Point, files: Mapping[Point, Path], measured: Measured | None) -> Latency | None:
    return measured.drafts.get(files[point]) if measured is not None and point in files else None
