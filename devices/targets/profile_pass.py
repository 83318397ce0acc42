"""The profile of one model on a target that is an agent: by its runtime's profiler, or by operators cut out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlpack_edge.core.errors import MissingExtra
from mlpack_edge.devices.targets.agent.arrays import packed
from mlpack_edge.runtimes.litert.cut_out_job import cut_isolated
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from mlpack_edge.runtimes.measuring.profile import (
    clock_too_coarse,
    rows_from_cut_outs,
    runs_of_graphs,
    timings_wanted,
)
from mlpack_edge.runtimes.worker import Limits, run_isolated

Json = dict[str, Any]
#: It imports ONNX Runtime, which this process does without.
_FUSED = "mlpack_edge.runtimes.measuring.fused:fused"


def profile_rows_of(
    model: PreparedModel, by_runtime: Callable[[], Json], time_models: Callable[[bytes], Sequence[Json]],
    limits: Limits | None = None, on_stage: Callable[[str], None] | None = None,
) -> list[Json]:  # fmt: skip
    """Rows {name, op, calls, ns, share, method}, the longest first, of the first set of inputs.

    by_runtime: the agent's answer to "profile". time_models: its answer to "cut_outs", `timed`, for the arrays that it
    is given as a file. ONNX rows have `parent`, and `stands_for` where this machine's ONNX Runtime made the operator of
    others. TFLite rows are LiteRT's, unless it has no profiler there or one too coarse for this model; then they are
    those of cut-out operators, timed on the target. Raises what the target and the child process raise.
    """
    if model.format == "onnx":
        return _with_origins(by_runtime()["rows"], model.path, limits, on_stage)
    runs = None
    try:
        answer = by_runtime()
    except MissingExtra:
        pass
    else:
        rows: list[Json] = answer["rows"]
        if not clock_too_coarse(answer):
            return rows
        runs = runs_of_graphs(rows)
    feeds = [model.feeds[0][str(place)] for place in range(len(model.feeds[0]))]
    pieces = cut_isolated(model.path, feeds, runs, limits, on_stage)
    sets = [
        {"model": np.frombuffer(content, np.uint8)} | {str(place): array for place, array in enumerate(inputs)}
        for content, inputs in timings_wanted(pieces)
    ]
    return rows_from_cut_outs(pieces, time_models(packed(sets)))[0]


def _with_origins(
    rows: list[Json], path: Path, limits: Limits | None, on_stage: Callable[[str], None] | None
) -> list[Json]:
    origins = run_isolated(_FUSED, {"path": str(path)}, limits, str(path), on_stage)
    return [{**row, "stands_for": origins[row["name"]]} if row["name"] in origins else row for row in rows]
