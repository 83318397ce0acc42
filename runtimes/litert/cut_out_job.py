"""Cut a file's operators out in a child process with limits, for files that were not made here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.runtimes.array_files import load_arrays, save_arrays
from mlpack_edge.runtimes.litert.cut_out import Cut, CutOut, cut
from mlpack_edge.runtimes.worker import Limits, run_isolated

Array = NDArray[Any]
Json = dict[str, Any]


def cut_isolated(
    path: Path, feeds: Sequence[Array], runs: Mapping[int, float] | None = None, limits: Limits | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Cut:  # fmt: skip
    """As `cut`. Raises what it raises, and WorkerFault where the child dies of the file."""
    with scratch_folder() as folder:
        given, made = Path(folder, "feeds.npz"), Path(folder, "made.npz")
        names = save_arrays(given, {str(place): array for place, array in enumerate(feeds)})
        payload = {
            "path": str(path), "feeds": str(given), "names": names, "made": str(made),
            "runs": None if runs is None else {str(graph): count for graph, count in runs.items()},
        }  # fmt: skip
        answer = run_isolated(f"{__name__}:cut_job", payload, limits, str(path), on_stage)
        arrays = iter(load_arrays(made, answer["names"]).values())
        pieces = tuple(
            CutOut(
                piece["op"], tuple(piece["names"]), tuple(piece["counts"]), next(arrays).tobytes(),
                next(arrays).tobytes(), piece["repeats"], tuple(next(arrays) for _ in range(piece["feeds"])),
            )
            for piece in answer["pieces"]
        )  # fmt: skip
    return Cut(pieces, tuple((op, name, why) for op, name, why in answer["left_out"]))


def cut_job(payload: Json, stage: Callable[[str], None]) -> Json:
    """Write the models and their inputs to `payload["made"]`, piece by piece: {names, pieces, left_out}."""
    stage(f"cutting out the operators of {payload['path']}")
    runs = payload["runs"]
    found = cut(
        Path(payload["path"]), list(load_arrays(Path(payload["feeds"]), payload["names"]).values()),
        None if runs is None else {int(graph): count for graph, count in runs.items()},
    )  # fmt: skip
    arrays: dict[str, Array] = {}
    for piece in found.cut_outs:
        for array in (np.frombuffer(piece.one, np.uint8), np.frombuffer(piece.many, np.uint8), *piece.feeds):
            arrays[str(len(arrays))] = array
    pieces = [
        {
            "op": piece.op,
            "names": piece.names,
            "counts": piece.counts,
            "repeats": piece.repeats,
            "feeds": len(piece.feeds),
        }
        for piece in found.cut_outs
    ]
    return {"names": save_arrays(Path(payload["made"]), arrays), "pieces": pieces, "left_out": found.left_out}
