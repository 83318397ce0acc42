"""`mlpack check`."""

from __future__ import annotations

from typing import Any

import click

from mlpack_edge.cli.convert import payload_of
from mlpack_edge.cli.options import limit_options, limits_of, source_options
from mlpack_edge.cli.outcome import Outcome, answers, show_stage
from mlpack_edge.cli.parity_text import parity_text, showing_parity
from mlpack_edge.runtimes.worker import run_isolated


@click.command("check", short_help="Compare two models on the same rows.")
@click.argument("reference")
@click.argument("candidate")
@source_options
@click.option(
    "--max-flips",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="F",
    help="The share of rows whose label may differ.",
)
@limit_options
@answers("check")
def command(reference: str, candidate: str, time_limit: float, memory_limit: int | None, **options: Any) -> Outcome:
    """Compare CANDIDATE with REFERENCE on the same rows, output by output; labels are counted, not averaged.

    Each is a source model, an ONNX or a TFLite file. The rows are those of --data, and --rows made from the signature: on and
    beside split thresholds, missing values, unknown categories, text of every script, extreme magnitudes. Exit code 3
    where they differ.

    \b
    Examples:
      mlpack check model.skops model.onnx
      mlpack check model.skops model.tflite --data holdout.parquet
      mlpack check model.onnx model-quantized.onnx --data holdout.parquet --max-flips 0.001 --atol 0.05
    """  # fmt: skip
    with showing_parity():
        result = run_isolated(
            "mlpack_edge.converters.jobs:check",
            {"reference": reference, "candidate": candidate, **payload_of(options)},
            limits_of(time_limit, memory_limit), subject=f"{reference} or {candidate}", on_stage=show_stage,
        )  # fmt: skip
    return Outcome(result, parity_text(result["parity"]))
