"""What `mlpack bench` does: prepare the models, ask the target, compare, judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlpack_edge.cli.bench_request import Request
from mlpack_edge.cli.options import limits_of
from mlpack_edge.cli.outcome import show_stage
from mlpack_edge.core.errors import BadInput, CheckFailed, Interrupted, MlpackError, Unsupported
from mlpack_edge.devices.targets.target import Refused, Target, open_target
from mlpack_edge.runtimes.measuring.baseline import partner_of, read_baseline
from mlpack_edge.runtimes.measuring.comparable import why_not_comparable
from mlpack_edge.runtimes.measuring.comparison import compare
from mlpack_edge.runtimes.measuring.feeds import MADE
from mlpack_edge.runtimes.measuring.gate import gate_to_json
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, prepare
from mlpack_edge.runtimes.measuring.result import DIFFERS, BenchResult, Comparison

Json = dict[str, Any]


def run_bench(request: Request) -> Json:
    """The document: results, comparison, gate, refused, notes. Raises MlpackError where nothing could be measured."""
    try:
        return _run(request)
    except CheckFailed as fault:
        raise could_not(fault) from fault


def could_not(fault: MlpackError, made: bool = False) -> MlpackError:
    """What a runtime refuses could not be measured (exit code 1): 3 is for a gate that says no. made: nobody gave inputs."""
    if not isinstance(fault, CheckFailed):
        return fault
    hint = "its inputs were made from the signature: --data gives it rows of yours; or " if made else ""
    return Unsupported(fault.message, hint + fault.hint, why=fault.why, **fault.data)


def _run(request: Request) -> Json:
    stored = read_baseline(request.baseline) if request.baseline else ()
    notes: list[str] = []
    prepared, refused = _prepared(request, notes)
    results: list[BenchResult] = []
    with closing(open_target(request.target, request.target_options())) as target:
        _refuse_ungiven(target, request)
        calibrated = _calibrated(target, request)
        for item in target.bench(prepared, request.plan()) if prepared else ():
            if isinstance(item, Refused):
                made = any(MADE in model.notes for model in prepared if model.name == item.model)
                refused.append(Refused(item.model, could_not(item.error, made)))
            else:
                results.append(_with_metric(item, request))
        if request.profile:
            results = [_with_profile(target, result, prepared, request.plan(), refused) for result in results]
        results = calibrated(results)
    if not results and len(refused) == 1:
        raise refused[0].error
    notes += _crowded(results)
    if any(one.output_digest == DIFFERS for one in results):
        names = ", ".join(one.model for one in results if one.output_digest == DIFFERS)
        notes.append(f"the same inputs do not give the same outputs in each process: {names}")
    try:
        compared = _compared(results, stored)
    except BadInput as fault:  # what was measured is not lost with what it should have been compared with
        from mlpack_edge.cli.bench_text import bench_text

        document = _document(request, results, [], refused, notes)
        fault.data |= {"result": document, "text": bench_text(document)}
        raise
    return _document(request, results, compared, refused, notes)


def _document(
    request: Request, results: list[BenchResult], compared: list[Comparison], refused: list[Refused], notes: list[str]
) -> Json:
    return {
        "results": [result.to_json() for result in results],
        "comparison": [one.to_json() for one in compared],
        "baseline": str(request.baseline) if request.baseline else None,
        "gate": gate_to_json(request.gate, compared) if request.gate is not None and compared else None,
        "refused": [{"model": item.model, "error": item.error.to_json()} for item in refused],
        "notes": notes + [text for one in compared for text in one.notes],
    }


def _prepared(request: Request, notes: list[str]) -> tuple[list[PreparedModel], list[Refused]]:
    """Models with their inputs; the same file given twice has a number behind its name."""
    made: list[PreparedModel] = []
    refused: list[Refused] = []
    for place, path in enumerate(request.models):
        times = list(request.models[: place + 1]).count(path)
        name = str(path) if times == 1 else f"{path} ({times})"
        try:
            model = prepare(
                path, request.data, request.batch, dict(request.shapes),
                limits=limits_of(request.time_limit, request.memory_limit), on_stage=show_stage,
            )  # fmt: skip
        except MlpackError as fault:
            if len(request.models) == 1 or isinstance(fault, Interrupted):
                raise
            refused.append(Refused(name, fault))
            continue
        notes += model.notes
        made.append(replace(model, name=name))
    return made, refused


def _crowded(results: Sequence[BenchResult]) -> list[str]:
    """Threads that wait for each other's core are slower than fewer of them would be."""
    found = {(one.threads, one.environment.get("cores")) for one in results}
    return [f"{threads} threads share {cores} cores" for threads, cores in found if cores and threads > cores]


def _refuse_ungiven(target: Target, request: Request) -> None:
    if not target.gives & {"time", "instructions", "estimate"}:
        raise Unsupported(f"{target.name} measures nothing", "mlpack target list says what each target gives")
    if request.profile and "profile" not in target.gives:
        raise Unsupported(
            f"{target.name} gives no time of single operators", "leave --profile away, or measure on the device itself"
        )


def _calibrated(target: Target, request: Request) -> Callable[[list[BenchResult]], list[BenchResult]]:
    """What puts ranges of time to counts. Whatever is wrong with the calibration is said before anything is counted."""
    if request.calibration is None:
        return lambda results: results
    from mlpack_edge.cli.calibrate import calibration_for, with_calibration

    calibration = calibration_for(request.calibration, target)
    return lambda results: with_calibration(results, calibration, target, request.plan())


def _with_metric(result: BenchResult, request: Request) -> BenchResult:
    found = [(name, value) for file, name, value in request.metrics if file in (result.model, Path(result.model).name)]
    return replace(result, metric={"name": found[-1][0], "value": found[-1][1]}) if found else result


def _with_profile(
    target: Target, result: BenchResult, models: Sequence[PreparedModel], plan: Plan, refused: list[Refused]
) -> BenchResult:
    """Where it fails, what was measured before is kept, and the failure is among those refused."""
    model = next(model for model in models if model.name == result.model)
    try:
        return replace(result, profile=target.profile(model, plan))
    except Interrupted:
        raise
    except MlpackError as fault:
        refused.append(Refused(result.model, could_not(fault)))
        return result


def _compared(results: Sequence[BenchResult], stored: Sequence[BenchResult]) -> list[Comparison]:
    """Each result with its stored partner; without a baseline with the first one of this run."""
    if not stored:
        return [compare(results[0], result, paired=True) for result in results[1:]]
    made = []
    for result in results:
        partner = partner_of(result, stored)
        why = why_not_comparable(partner, result)
        if why:
            raise BadInput(
                f"the baseline of {result.model} was not measured under the same conditions: nothing was compared",
                "measure it again here: mlpack bench ... --json > baseline.json", why=why,
            )  # fmt: skip
        made.append(compare(replace(partner, model=f"{partner.model} (baseline)"), result, paired=False))
    return made
