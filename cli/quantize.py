"""`mlpack quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpack_edge.cli.options import Amount, Duration, Size, shape_option, target_options
from mlpack_edge.cli.outcome import Outcome, answers
from mlpack_edge.cli.quantize_request import METHODS, METRICS, SCHEMES, QuantizeRequest, refuse_together


@click.command("quantize", short_help="Make a model smaller and faster without losing it, and prove that.")
@click.argument("model")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="The file to write."
)
@click.option(
    "--to", "to", type=click.Choice(["onnx", "tflite"]), default="onnx", show_default=True, help="The format to write."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),
    metavar="CALIBRATION",
    help="Rows to calibrate on: .parquet, .csv, .arrow/.feather, .npy or .npz (one array per input), of any length.",
)
@click.option(
    "--scheme",
    type=click.Choice(SCHEMES),
    default="auto",
    show_default=True,
    help="static: computes with codes, needs DATA; dynamic: codes of each call; weights, fp16: stored so.",
)
@click.option(
    "--eval",
    "evaluation",
    type=click.Path(path_type=Path, readable=False),
    metavar="DATA",
    help="Rows to judge on [default: every fifth row of CALIBRATION; without it, rows made from the signature].",
)
@click.option(
    "--label", metavar="COLUMN", help="The truth in the rows to judge on [default: agreement with the model]."
)
@click.option(
    "--metric", type=click.Choice(METRICS), help="What is judged by [default: accuracy for classes, else rmse]."
)
@click.option(
    "--whole",
    multiple=True,
    metavar="OUTPUT",
    help="Judge all numbers of OUTPUT together, as those of an embedding or a state [default: every column for itself].",
)
@click.option(
    "--max-drop",
    type=Amount(),
    default=0.01,
    show_default=True,
    metavar="X",
    help="What may be lost of the metric (mae, rmse: as a share of it); of agreement, the share of labels and of noise.",
)
@click.option("--max-size", type=Size(), metavar="SIZE", help="The file may have at most this size: 300KB, 5MB.")
@click.option("--max-latency", type=Duration(), metavar="TIME", help="A call may take at most this on the target: 5ms.")
@target_options
@click.option(
    "--threads", type=click.IntRange(1, 1024), default=1, show_default=True, metavar="N", help="Threads of the runtime."
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="How ranges are found in CALIBRATION; auto tries them.",
)
@click.option("--bits", type=click.Choice(["8", "4"]), help="Width of --scheme weights [default: what fits].")
@click.option(
    "--io",
    type=click.Choice(["float", "int8"]),
    default="float",
    show_default=True,
    help="TFLite: inputs and outputs as the model has them, or as codes (microcontrollers).",
)
@click.option(
    "--keep-float", multiple=True, metavar="LAYER", help="Leave this layer as it is; --verbose names them. Repeatable."
)
@shape_option
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    help="Element type of numeric inputs, as mlpack convert has it.",
)
@click.option(
    "--weights", type=click.Path(path_type=Path, readable=False), metavar="FILE",
    help="Weights for package.module:attribute: .safetensors or a state dict.",
)  # fmt: skip
@click.option(
    "--trust-pickle", is_flag=True, help="Load a pickle or joblib file, which can run any code its author chose."
)
@click.option("--verbose", is_flag=True, help="Show every layer.")
@click.option("--force", is_flag=True, help="Overwrite an existing output.")
@click.option(
    "--time-limit",
    "seconds",
    type=Duration(),
    default="5m",
    show_default=True,
    metavar="TIME",
    help="Time for calibration, search and measuring; conversion, what has begun, and the final proof come on top.",
)
@click.option(
    "--memory-limit", type=Size(), metavar="SIZE", help="Memory of the child process [default: 80% of this machine]."
)
@answers("quantize")
def command(bits: str | None, **options: Any) -> Outcome:
    """Quantize MODEL, whatever mlpack convert takes, and prove on rows what is lost.

    What a target computes fast and what a model bears is tried, not assumed: each way is made, judged on rows, and measured
    beside the float model; the smallest file within the budgets that is not slower is written. Where layers lose too much,
    the worst go back to float. Where nothing fits, nothing is written: the exit code is 3, with what came nearest.

    \b
    Examples:
      mlpack quantize model.onnx -o small.onnx --data rows.npy
      mlpack quantize model.onnx -o small.onnx --data rows.parquet --eval holdout.parquet --label species --max-drop 0.005
      mlpack quantize model.skops --to tflite -o small.tflite --data rows.parquet --target ssh://pi@raspberrypi
      mlpack quantize net.onnx -o net-fp16.onnx --scheme fp16
      mlpack quantize net.onnx -o net.int8.onnx --data rows.npz --max-size 300KB --max-latency 5ms
      mlpack quantize net.onnx --to tflite --io int8 -o net.tflite --data rows.npz --target ethos-u:ethos-u55-128
    """  # fmt: skip
    request = QuantizeRequest(bits=int(bits) if bits else None, **options)
    refuse_together(request)
    from mlpack_edge.cli.quantize_run import run_quantize

    return run_quantize(request)
