"""`mlpack bench`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpack_edge.cli.options import Duration, data_option, limit_options, shape_option, target_options
from mlpack_edge.cli.outcome import Outcome, answers, note
from mlpack_edge.core.errors import BadInput, CheckFailed, MlpackError
from mlpack_edge.core.files import publish

if TYPE_CHECKING:  # help texts come without numpy
    from mlpack_edge.runtimes.measuring.gate import Gate

Json = dict[str, Any]


class Percentage(click.ParamType["Gate"]):
    """A share as people write it: `10%`."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Gate:
        from mlpack_edge.runtimes.measuring.gate import Gate, gate_from_text

        if isinstance(value, Gate):
            return value
        try:
            return gate_from_text(value)
        except BadInput as fault:
            self.fail(f"{fault.message}; {fault.hint}", param, ctx)


class Metric(click.ParamType[tuple[str, str, float]]):
    """`FILE:NAME=VALUE`, as `small.onnx:accuracy=0.981`."""

    name = "metric"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str, float]:
        if isinstance(value, tuple):
            return value
        where, equals, number = str(value).rpartition("=")
        file, colon, name = where.rpartition(":")
        try:
            found = float(number) if equals and colon and file and name else math.nan
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            self.fail(f"{value!r} is not FILE:NAME=VALUE; write for example small.onnx:accuracy=0.981", param, ctx)
        return file, name, found


@click.command("bench", short_help="Measure how long models take, here or on a device, and whether they differ.")
@click.argument("models", nargs=-1, metavar="MODEL...", type=click.Path(path_type=Path, readable=False))
@target_options
@click.option(
    "--threads", type=click.IntRange(1, 1024), default=1, show_default=True, metavar="N", help="Threads of the runtime."
)
@click.option("--spinning", is_flag=True, help="Let idle threads of ONNX Runtime burn their core instead of sleeping.")
@click.option("--batch", type=click.IntRange(1), metavar="N", help="Rows of a call [default: the model's own, else 1].")
@click.option(
    "--processes",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    metavar="N",
    help="How often each model is started anew.",
)
@click.option(
    "--seconds",
    type=Duration(),
    default="5s",
    show_default=True,
    metavar="TIME",
    help="Timed calls of each model, all its processes together.",
)
@data_option
@shape_option
@click.option("--profile", is_flag=True, help="Time each operator too, in a pass of its own.")
@click.option(
    "--metric",
    "metrics",
    type=Metric(),
    multiple=True,
    metavar="FILE:NAME=VALUE",
    help="What is known of a model's quality, for the page: small.onnx:accuracy=0.981. Repeatable.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE.json",
    help="A document that --json printed earlier on this machine, to compare with.",
)
@click.option(
    "--gate",
    type=Percentage(),
    metavar="10%",
    help="Exit 3 where a model is slower than this against the baseline (else the first model), beyond doubt.",
)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write one self-contained page.")
@click.option(
    "--calibrate",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    help="Measure this board with models made for it, so that emulated results can tell a range of time.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path, readable=False),
    metavar="FILE.json",
    help="What --calibrate wrote on a board of the emulated kind.",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@limit_options
@answers("bench")
def command(models: tuple[Path, ...], html: Path | None, calibrate: Path | None, force: bool, **options: Any) -> Outcome:  # fmt: skip
    """Measure MODELs (ONNX or TFLite) side by side: what a call takes as experienced, what the model itself costs without
    being interrupted, whether the figures can be trusted, and whether the models differ.

    Each model is started several times; the processes take turns in random order. Models are compared with the first one,
    or with a stored result. On emulated targets instructions are counted instead: emulation never reports time.

    \b
    Examples:
      mlpack bench model.onnx
      mlpack bench model.onnx model.tflite --data holdout.parquet --html bench.html
      mlpack bench model.onnx --json > before.json
      mlpack bench model.onnx --baseline before.json --gate 10%
      mlpack bench net.onnx --shape x=1x3x224x224 --threads 4 --profile
      mlpack bench model.tflite --target ssh://pi@raspberrypi --target-python '~/venv/bin/python'
      mlpack bench model.tflite --target emulated:pi4 --gate 1% --baseline counts.json
      mlpack bench model.tflite --target adb:R58M123ABCD --benchmark-model ./benchmark_model
    """  # fmt: skip
    from mlpack_edge.cli.bench_request import Request
    from mlpack_edge.cli.bench_run import run_bench
    from mlpack_edge.cli.bench_text import bench_text

    request = Request(models=models, **options)
    if calibrate is not None:
        from mlpack_edge.cli.calibrate import calibrate_board

        without = {
            "MODEL": models, "--html": html, "--data": request.data, "--shape": request.shapes, "--batch": request.batch,
            "--profile": request.profile, "--metric": request.metrics, "--baseline": request.baseline, "--gate": request.gate,
            "--calibration": request.calibration,
        }  # fmt: skip
        if given := [name for name, value in without.items() if value]:
            raise click.UsageError(f"--calibrate measures models of its own: leave {' and '.join(given)} away")
        return calibrate_board(request, calibrate, force)
    if not models:
        raise click.UsageError("Missing argument 'MODEL...'.")
    if request.gate is not None and request.baseline is None and len(models) < 2:
        raise click.UsageError("--gate needs something to compare with: --baseline FILE.json, or several MODELs")
    for file, name, _ in request.metrics:
        if file not in {part for path in models for part in (str(path), path.name)}:
            raise click.UsageError(f"--metric {file}:{name}=...: no MODEL is called {file!r}")
    if html is not None and html.resolve() in {
        path.resolve() for path in (*models, request.data, request.baseline) if path
    }:
        raise click.UsageError(f"--html {html} is a file that this run reads: name another")
    if html is None:
        document = run_bench(request)
    else:
        with publish(html, force) as draft:
            document = run_bench(request)
            from mlpack_edge.cli.bench_page.page import render

            draft.write_text(render(document), encoding="utf-8")
    text = bench_text(document)
    for line in dict.fromkeys([*document["notes"], *(document["gate"] or {}).get("undecided", [])]):
        note(line)
    _raise_what_was_refused(document, text)
    gate = document["gate"]
    if gate is not None and not gate["passed"]:
        raise CheckFailed(
            "the gate says no", "mlpack bench --html FILE shows the distributions; --profile the operators",
            why="; ".join(gate["reasons"]), result=document, text=text,
        )  # fmt: skip
    return Outcome(document, text)


def _raise_what_was_refused(document: Json, text: str) -> None:
    """The other models' results are shown before the error."""
    if not document["refused"]:
        return
    first = document["refused"][0]["error"]
    more = len(document["refused"]) - 1
    raise MlpackError(
        first["message"] + (f" (and {more} more)" if more else ""), first["hint"], why=first["why"],
        result=document, text=text if document["results"] else "",
    )  # fmt: skip
