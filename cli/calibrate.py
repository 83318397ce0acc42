"""`mlpack bench --calibrate` on a board, and `--calibration` where instructions are counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mlpack_edge.cli.bench_request import Request
from mlpack_edge.cli.bench_text import bench_text
from mlpack_edge.cli.outcome import Outcome, show_stage
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.files import publish, refuse_existing
from mlpack_edge.core.scratch import scratch_folder
from mlpack_edge.devices.calibration import (
    Calibration,
    calibration_from_results,
    read_calibration,
    refuse_other_board,
    runtime_of,
    time_range,
)
from mlpack_edge.devices.targets.emulated import EmulatedTarget
from mlpack_edge.devices.targets.target import Refused, Target, open_target
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, prepare
from mlpack_edge.runtimes.measuring.result import BenchResult
from mlpack_edge.runtimes.worker import run_isolated


def calibrate_board(request: Request, path: Path, force: bool) -> Outcome:
    """Time the calibration's models on the board and write what was found.

    Raises Unsupported where the target does not time, BadInput where a model was not stable, Refused's errors.
    """
    if request.threads != 1:
        raise BadInput(
            "instructions are counted at one thread, and so a board is calibrated at one", "leave --threads away"
        )
    refuse_existing(path, force)
    with (
        calibration_models(("onnx", "tflite")) as models,
        closing(open_target(request.target, request.target_options())) as target,
    ):
        if "time" not in target.gives:
            raise Unsupported(f"{target.name} measures no time", "calibrate on the board itself, or over ssh://")
        results = _all(target, models, request.plan())
    found = calibration_from_results(results, datetime.now(UTC).date().isoformat())
    with publish(path, force) as draft:
        draft.write_text(json.dumps(found.to_json(), indent=1), encoding="utf-8")
    document = {"results": [result.to_json() for result in results], "comparison": [], "calibration": str(path)}
    return Outcome(document, f"{bench_text(document)}\n{path}: calibrated on {found.date}")


def calibration_for(path: Path, target: Target) -> Calibration:
    """The calibration in the file at `path`, before anything is counted.

    Raises BadInput for a damaged one or that of another board, Unsupported where nothing is emulated, IoFault.
    """
    if not isinstance(target, EmulatedTarget):
        raise Unsupported(
            f"--calibration goes with emulated targets, {target.name} is none", "leave --calibration away"
        )
    calibration = read_calibration(path)
    refuse_other_board(calibration, target.machine)
    return calibration


def with_calibration(
    results: Sequence[BenchResult], calibration: Calibration, target: Target, plan: Plan
) -> list[BenchResult]:
    """The same results with the range of time that their instructions mean on the calibrated board.

    Raises BadInput for a calibration made with another runtime or another version of it or of mlpack.
    """
    with calibration_models(tuple({result.format for result in results})) as models:
        counted = {
            result.model_sha256: float(result.instructions["total"])
            for result in _all(target, models, plan)
            if result.instructions is not None
        }
    made = []
    for result in results:
        assert result.instructions is not None
        found = time_range(result.instructions["total"], runtime_of(result), result.format, calibration, counted)
        made.append(replace(result, calibrated_ns=found))
    return made


def _all(target: Target, models: Sequence[PreparedModel], plan: Plan) -> list[BenchResult]:
    """Every model's result: a calibration with holes is none."""
    results = []
    for item in target.bench(models, plan):
        if isinstance(item, Refused):
            raise item.error
        results.append(item)
    return results


@contextmanager
def calibration_models(formats: Sequence[str]) -> Iterator[list[PreparedModel]]:
    """The models in these formats, made in a child process and kept while the context lasts."""
    with scratch_folder() as folder:
        run_isolated(
            "mlpack_edge.cli.calibrate:make_models",
            {"folder": folder},
            None,
            "the models to calibrate with",
            show_stage,
        )
        made = []
        for path in sorted(Path(folder).glob("*.onnx")):
            for format in sorted(formats):
                file = path.with_suffix(f".{format}")
                if format == "tflite":
                    payload = {
                        "source": str(path),
                        "to": "tflite",
                        "output": file.name,
                        "draft": str(file),
                        "rows": 16,
                        "layout": "keep",
                    }
                    run_isolated("mlpack_edge.converters.jobs:convert", payload, None, path.name, show_stage)
                made.append(replace(prepare(file, on_stage=show_stage), name=f"calibration {file.name}"))
        yield made


def make_models(payload: dict[str, str], stage: object) -> dict[str, bool]:
    """In the child: onnx is imported there alone."""
    from mlpack_edge.devices.calibration_models import write_models

    write_models(Path(payload["folder"]))
    return {"made": True}
