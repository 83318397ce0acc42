"""`mlpack check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpack_edge.cli.check_targets_text import architectures_text
from mlpack_edge.cli.convert import payload_of
from mlpack_edge.cli.options import limit_options, limits_of, source_options
from mlpack_edge.cli.outcome import Outcome, answers, show_stage
from mlpack_edge.cli.parity_text import parity_text, showing_parity
from mlpack_edge.core.artifact import sha256_of_file
from mlpack_edge.core.errors import CheckFailed, MlpackError
from mlpack_edge.devices.emulation.boards import ARCHITECTURES
from mlpack_edge.runtimes.worker import Limits, run_isolated

if TYPE_CHECKING:  # it imports numpy, which the help does without
    from mlpack_edge.cli.check_targets import Subject

Json = dict[str, Any]


@click.command("check", short_help="Compare two models on the same rows, or one on several machines.")
@click.argument("reference")
@click.argument("candidate", required=False)
@source_options
@click.option(
    "--max-flips",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    metavar="F",
    help="The share of rows whose label may differ.",
)
@click.option(
    "--arch",
    type=click.Choice(list(ARCHITECTURES)),
    multiple=True,
    metavar="ARCH",
    help=f"Also run the file under emulation and compare: {', '.join(ARCHITECTURES)}. Repeatable.",
)
@click.option(
    "--target",
    multiple=True,
    metavar="TARGET",
    help="Also run the file there and compare: ssh://USER@HOST[:PORT], emulated:PROFILE, local. Repeatable.",
)
@click.option(
    "--target-python",
    default="python3",
    show_default=True,
    metavar="PROGRAM",
    help="Python on a target over SSH, e.g. '~/venv/bin/python'.",
)
@limit_options
@answers("check")
def command(
    reference: str, candidate: str | None, arch: tuple[str, ...], target: tuple[str, ...], target_python: str,
    time_limit: float, memory_limit: int | None, **options: Any,
) -> Outcome:  # fmt: skip
    """Compare CANDIDATE with REFERENCE on the same rows, output by output; labels are counted, not averaged.

    Each is a source model, an ONNX or a TFLite file. The rows are those of --data, and --rows made from the signature: on and
    beside split thresholds, missing values, unknown categories, text of every script, extreme magnitudes. Exit code 3
    where they differ.

    With --arch or --target the file (CANDIDATE, or REFERENCE alone) is then run on other processors too, and its outputs
    are held bit by bit against those on this machine.

    \b
    Examples:
      mlpack check model.skops model.onnx
      mlpack check model.skops model.tflite --data holdout.parquet
      mlpack check model.onnx model-quantized.onnx --data holdout.parquet --max-flips 0.001 --atol 0.05
      mlpack check model.skops model.onnx --arch aarch64 --arch x86-64-avx2
      mlpack check model.tflite --target ssh://pi@raspberrypi --target-python '~/venv/bin/python'
    """  # fmt: skip
    targets = tuple(dict.fromkeys([*(f"emulated:{ARCHITECTURES[name]}" for name in arch), *target]))
    if candidate is None and not targets:
        raise click.UsageError("Missing argument 'CANDIDATE': only --arch and --target compare one file with itself.")
    names, payload, limits = [reference, *([candidate] if candidate else [])], payload_of(options), limits_of(time_limit, memory_limit)  # fmt: skip
    subject = None
    if targets:
        from mlpack_edge.cli.check_targets import subject_of

        subject = subject_of(names, targets)
    result, text = _compared(names, payload, limits)
    if subject is not None:
        return _on_targets(subject, targets, payload, limits, target_python, memory_limit, result, text)
    return Outcome(result, text)


def _compared(names: list[str], payload: Json, limits: Limits) -> tuple[Json, str]:
    """The comparison of two models; nothing is compared where there is one."""
    if len(names) == 1:
        about = {"path": names[0], "sha256": sha256_of_file(Path(names[0]))}
        return {"reference": about, "candidate": None, "parity": None}, ""
    with showing_parity():
        result = run_isolated(
            "mlpack_edge.converters.jobs:check",
            {"reference": names[0], "candidate": names[1], **payload},
            limits, subject=f"{names[0]} or {names[1]}", on_stage=show_stage,
        )  # fmt: skip
    return result, parity_text(result["parity"])


def _on_targets(
    subject: Subject, targets: tuple[str, ...], payload: Json, limits: Limits, python: str, memory: int | None,
    result: Json, text: str,
) -> Outcome:  # fmt: skip
    """The outcome with what other machines gave. Raises CheckFailed where one of them gives other answers."""
    from mlpack_edge.cli.check_targets import check_on_targets

    try:
        found = check_on_targets(subject, targets, payload, limits, python, memory)
    except MlpackError as fault:
        fault.data["result"] = result | fault.data.get("result", {"architectures": []})
        raise
    result = result | found
    text = "\n".join(part for part in (text, architectures_text(found)) if part)
    failed = [item for item in found["architectures"] if not item["passed"]]
    if failed:
        raise CheckFailed(
            f"{subject.path} does not give the same answers on {' and '.join(item['target'] for item in failed)}",
            failed[0]["hint"],
            why="; ".join(f"{item['target']}: {reason}" for item in failed for reason in item["reasons"]),
            result=result, text=text,
        )  # fmt: skip
    return Outcome(result, text)
