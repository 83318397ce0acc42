"""TFLite files that were not made here: opened and run in a child process, which may die of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.errors import WorkerFault
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.runtimes.array_files import load_arrays, save_arrays
from mlpack_edge.runtimes.litert.library import library
from mlpack_edge.runtimes.litert.runner import DEFAULTS, LitertOptions, LitertRunner
from mlpack_edge.runtimes.litert.runtime import loads
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.worker import Limits, run_isolated

Array = NDArray[Any]
Json = dict[str, Any]
Stage = Callable[[str], None]

_HERE = "mlpack_edge.runtimes.litert.isolated"
LIMITS = Limits(seconds=60.0)


def why_not_loaded(path: Path, name: str = "", limits: Limits = LIMITS) -> str | None:
    """None where the file opens and runs once on zeros, else the reason, also where the process died or hung of it.

    name: the package that is asked, see `library`. Raises MissingExtra where it does not work here.
    """
    payload = {"path": str(path), "library": name}
    try:
        answer = run_isolated(f"{_HERE}:litert_loads", payload, limits, str(path))["loads"]
    except WorkerFault as fault:
        return ": ".join(text for text in (fault.message, fault.why) if text)
    return None if answer is True else str(answer)


def run_file(
    path: Path,
    feeds: Mapping[str, Array],
    options: LitertOptions = DEFAULTS,
    tensors: Sequence[str] = (),
    limits: Limits = LIMITS,
) -> dict[str, Array]:
    """As `LitertRunner(path, options=options).run(feeds)`, and the values of intermediate `tensors` on top.

    Raises what the runner raises, and WorkerFault where the child died, hung or ran out of memory.
    """
    with scratch_folder() as folder:
        given, made = Path(folder, "feeds.npz"), Path(folder, "outputs.npz")
        names = save_arrays(given, feeds)
        payload = {
            "path": str(path), "feeds": str(given), "inputs": names, "outputs": str(made),
            "options": asdict(options), "tensors": list(tensors),
        }  # fmt: skip
        answer = run_isolated(f"{_HERE}:litert_run", payload, limits, str(path))
        if "rows_refused" in answer:
            raise RowsRefused(answer["rows_refused"])
        return load_arrays(made, answer["outputs"])


def litert_loads(payload: Json, stage: Stage) -> Json:
    """`{"loads": true}` or `{"loads": reason}` for the file `payload["path"]` and the package `payload["library"]`."""
    found = library(payload.get("library", ""))
    stage("running it on zeros")
    return {"loads": loads(Path(payload["path"]), found) or True}


def litert_run(payload: Json, stage: Stage) -> Json:
    """Run `path` on the arrays of the .npz file `feeds` (named by `inputs`), write what it gives to `outputs`.

    Answers the outputs' names in the file's order, or why the rows were refused.
    """
    options = LitertOptions(**payload["options"])
    feeds = load_arrays(Path(payload["feeds"]), payload["inputs"])
    stage("opening it")
    runner = LitertRunner(Path(payload["path"]), options=options)
    stage("running it")
    try:
        made = runner.run(feeds)
        if payload["tensors"]:
            made |= runner.tensor_values(feeds, payload["tensors"])
    except RowsRefused as refusal:
        return {"rows_refused": str(refusal)}
    return {"outputs": save_arrays(Path(payload["outputs"]), made)}
