"""`mlpack convert`."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mlpack_edge.cli.options import limit_options, limits_of, refuse_name, source_options
from mlpack_edge.cli.outcome import Outcome, answers, note, show_stage, size_text, table
from mlpack_edge.cli.parity_text import parity_text, showing_parity
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import publish
from mlpack_edge.runtimes.worker import run_isolated

Json = dict[str, Any]


@click.command("convert", short_help="Convert a trained model to ONNX or TFLite and prove that it is still the same.")
@click.argument("source", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="The file to write [default: SOURCE with the suffix of the format].",
)
@click.option(
    "--to", "to", type=click.Choice(["onnx", "tflite"]), default="onnx", show_default=True, help="The format to write."
)
@source_options
@click.option("--opset", type=click.IntRange(13, 26), metavar="N", help="ONNX operator set [default: 21].")
@click.option(
    "--layout",
    type=click.Choice(["keep", "nhwc"]),
    default="keep",
    show_default=True,
    help="TFLite: inputs and outputs as the model has them, or channel-last where they have 3 to 5 dimensions.",
)
@click.option("--stop-before", metavar="STEP", help="Convert only the steps of a pipeline before this one.")
@click.option("--matrix", is_flag=True, help="One input for all columns, also where the model knows their names.")
@click.option("--list-supported", is_flag=True, help="List the sources and steps that can be converted.")
@click.option("--force", is_flag=True, help="Overwrite an existing output.")
@limit_options
@answers("convert")
def command(
    source: str | None, output: Path | None, to: str, list_supported: bool, force: bool,
    time_limit: float, memory_limit: int | None, **options: Any,
) -> Outcome:  # fmt: skip
    """Convert SOURCE to ONNX or TFLite and prove on rows that it is still the same model.

    SOURCE is a file, told by its content: scikit-learn (.skops; .joblib and .pkl with --trust-pickle), XGBoost,
    LightGBM, CatBoost, PyTorch (.pt2), ONNX; or package.module:attribute for a PyTorch module. Nothing is written
    where the two differ: the exit code is then 3, and the message names the output, the row and the step.

    \b
    Examples:
      mlpack convert model.skops -o model.onnx
      mlpack convert model.skops -o model.onnx --data holdout.parquet
      mlpack convert model.skops --to tflite -o model.tflite
      mlpack convert booster.json -o booster.onnx --dtype float64
      mlpack convert nets.vision:Small --weights small.safetensors --shape x=batchx3x32x32 -o small.onnx
      mlpack convert net.onnx --to tflite --shape x=batchx3x224x224 --layout nhwc
      mlpack convert --list-supported
    """
    if list_supported:
        return _supported()
    if source is None:
        raise click.UsageError("Missing argument 'SOURCE'.")
    if to == "onnx" and options["layout"] != "keep":
        raise click.UsageError("--layout goes with --to tflite: ONNX keeps the layout of the model")
    output = output or _default_output(source, to)
    refuse_name(output, to)
    keep_inputs(output, [source, options["data"], options["weights"]])
    started = time.monotonic()
    with publish(output, force) as draft, showing_parity():
        result = run_isolated(
            "mlpack_edge.converters.jobs:convert",
            {"source": source, "to": to, "output": str(output), "draft": str(draft), **payload_of(options)},
            limits_of(time_limit, memory_limit), subject=source, on_stage=show_stage,
        )  # fmt: skip
    result["seconds"] = round(time.monotonic() - started, 3)
    for text in result["notes"]:
        note(text)
    return Outcome(result, _text(result))


def payload_of(options: Json) -> Json:
    """Options as JSON for the child process: paths as absolute text."""
    payload = dict(options)
    for name in ("data", "weights"):
        path = payload.get(name)
        payload[name] = str(path) if path is not None else None
    payload["shapes"] = [[name, list(sizes)] for name, sizes in payload.get("shapes") or ()]
    return payload


def _default_output(source: str, target: str) -> Path:
    """The source's name with the suffix of the format."""
    path = Path(source)
    if not path.name or (":" in source and not os.path.lexists(source)):
        raise BadInput("there is no file name to derive the output's from", "name the output with -o")
    return path.with_suffix(f".{target}")


def keep_inputs(output: Path, inputs: Sequence[str | Path | None]) -> None:
    """A trained model cannot be made again from what is converted: no input is overwritten, not even with --force."""
    for item in inputs:
        if item is not None and output.exists() and Path(item).exists() and output.samefile(item):
            raise BadInput(f"the output {output} is the input {item}", "name another file with -o")


def _text(result: Json) -> str:
    """What people read after a conversion."""
    source, output = result["source"], result["output"]
    opening = f"{output['path']}  {size_text(output['bytes'])}  from {source['kind']} {source['path']}"
    signature = result["signature"]
    inputs = ", ".join(_spec_text(spec) for spec in signature["inputs"][:6])
    more = f" and {len(signature['inputs']) - 6} more" if len(signature["inputs"]) > 6 else ""
    outputs = ", ".join(_spec_text(spec) for spec in signature["outputs"])
    facts = [("in", inputs + more), ("out", outputs), ("sha256", output["sha256"])]
    return f"{opening}\n{table(facts)}\n{parity_text(result['parity'])}"


def _spec_text(spec: Json) -> str:
    shape = ", ".join(str(size) for size in spec["shape"])
    return f"{spec['name']} {spec['dtype']}[{shape}]"


def _supported() -> Outcome:
    """The list comes from a child process too: it imports the libraries."""
    result = run_isolated("mlpack_edge.converters.supported:list_supported", {}, subject="the list")
    if result.get("missing"):
        note(f"the steps of scikit-learn pipelines are listed after {result['missing']}")
    lines = ["sources:"]
    lines += [f"  {name:<18} {text}" for name, text in result["sources"].items()]
    lines += ["", "steps of scikit-learn pipelines:"]
    width = max((len(step["class"]) for step in result["steps"]), default=0)
    lines += [f"  {step['class']:<{width}}  {step['by']}" for step in result["steps"]]
    lines += ["", "operators of ONNX in TFLite, and what the standard defines by them:"]
    lines += textwrap.wrap(", ".join(result["tflite"]), 100, initial_indent="  ", subsequent_indent="  ")
    return Outcome(result, "\n".join(lines))
