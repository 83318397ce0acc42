"""What `mlpack quantize` was asked, and whether its options go together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mlpack_edge.cli.options import refuse_name
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.worker import Limits

Json = dict[str, Any]
SCHEMES = ("auto", "static", "dynamic", "weights", "fp16")
METHODS = ("auto", "minmax", "percentile", "entropy", "mse")
METRICS = ("accuracy", "f1", "auc", "logloss", "mae", "rmse", "r2")
#: Of METRICS those within 0..1: more than 1 cannot be lost of them.
_SHARES = frozenset({"accuracy", "f1", "auc"})
#: Beside the time of the search: opening, converting, calibrating and the first judgements take what they take.
_UNSEARCHED_S = 1800.0


@dataclass(frozen=True, slots=True)
class QuantizeRequest:
    """The command line. seconds: the time limit of calibration, search and measuring together."""

    model: str
    output: Path
    to: str
    data: Path | None
    scheme: str
    method: str
    bits: int | None
    io: str
    keep_float: tuple[str, ...]
    evaluation: Path | None
    label: str | None
    metric: str | None
    whole: tuple[str, ...]
    max_drop: float
    max_size: int | None
    max_latency: float | None
    target: str
    target_python: str
    benchmark_model: Path | None
    vela: Path | None
    threads: int
    shapes: tuple[tuple[str, tuple[int | str, ...]], ...]
    dtype: str | None
    weights: Path | None
    trust_pickle: bool
    force: bool
    seconds: float
    verbose: bool
    memory_limit: int | None

    def limits(self) -> Limits:
        return Limits(self.seconds + _UNSEARCHED_S, self.memory_limit)

    def payload(self) -> Json:
        """As the child process takes it: JSON, paths as text."""
        return {
            "model": self.model, "to": self.to, "output": str(self.output), "data": _text(self.data), "scheme": self.scheme,
            "method": self.method, "bits": self.bits, "io": self.io, "verbose": self.verbose, "keep_float": list(self.keep_float),
            "evaluation": _text(self.evaluation), "label": self.label, "metric": self.metric, "max_drop": self.max_drop,
            "whole": list(self.whole),
            "max_bytes": self.max_size, "seconds": self.seconds, "dtype": self.dtype, "weights": _text(self.weights),
            "shapes": [[name, list(sizes)] for name, sizes in self.shapes], "trust_pickle": self.trust_pickle,
        }  # fmt: skip


def refuse_together(request: QuantizeRequest) -> None:
    """Raise click.UsageError for options that do not go together, before anything is read."""
    scheme = request.scheme
    if scheme == "static" and request.data is None:
        raise click.UsageError(
            "--scheme static needs rows to calibrate on: --data DATA; --scheme dynamic, weights and fp16 need none"
        )
    if scheme not in ("auto", "static") and request.method != "auto":
        raise click.UsageError(f"--method is of calibration, and --scheme {scheme} has none")
    if scheme not in ("auto", "weights") and request.bits is not None:
        raise click.UsageError(f"--bits goes with --scheme weights; {scheme} has widths of its own")
    if request.label is None and request.metric is not None:
        raise click.UsageError("--metric needs the truth: --label COLUMN names it")
    _refuse_drop(request)
    if request.label is not None and request.evaluation is None and request.data is None:
        raise click.UsageError("--label names a column of --eval DATA (or of --data DATA, where there is no --eval)")
    if request.io == "int8" and (request.to != "tflite" or scheme not in ("auto", "static")):
        raise click.UsageError("--io int8 goes with --to tflite and --scheme static")
    if request.io == "int8" and request.data is None:
        raise click.UsageError("--io int8 needs rows to calibrate on: --data DATA")
    kind = request.target.partition(":")[0]
    if kind == "ethos-u" and request.to != "tflite":
        raise click.UsageError("an Ethos-U runs TFLite files: --to tflite")
    if kind == "ethos-u" and (scheme not in ("auto", "static") or request.data is None):
        raise click.UsageError("an Ethos-U computes with int8 alone: --scheme static, with --data DATA to calibrate on")
    if kind in ("emulated", "ethos-u") and request.max_latency is not None:
        raise click.UsageError(
            f"--max-latency needs a clock, and {request.target} has none: it counts; name the device"
        )
    if kind == "emulated" and request.threads != 1:
        raise click.UsageError("instructions are counted at one thread: leave --threads away")
    own = Path(request.model).suffix.lower() == ".tflite"  # refused as such, which says more
    if not own:
        refuse_name(request.output, request.to)


def _refuse_drop(request: QuantizeRequest) -> None:
    """More than all of a share cannot be lost: such a budget would refuse nothing."""
    if request.max_drop <= 1 or request.metric not in {None, *_SHARES}:
        return
    if request.metric is None and request.label is not None:
        raise click.UsageError(
            f"--max-drop {request.max_drop:g}: of accuracy, which judges classes where no --metric is named, at most 1 can be "
            "lost; where the model gives numbers, name --metric rmse or mae"
        )
    what = request.metric or "agreement"
    raise click.UsageError(f"--max-drop {request.max_drop:g}: of {what} at most 1 can be lost; 0.01 is a hundredth")


def refuse_tflite(name: str, output: Path) -> None:
    """A TFLite file is not quantized: what it was made of is. Raises Unsupported, and IoFault where there is no file."""
    from mlpack_edge.core.files import io_fault
    from mlpack_edge.runtimes.recognise.sniff import sniff

    path = Path(name)
    try:
        if not path.is_file() or sniff(path) != "tflite":
            return
    except OSError as fault:
        raise io_fault(fault, f"{name} could not be read") from fault
    raise Unsupported(
        f"{name} is a TFLite file: quantize the ONNX file it was made of",
        f"mlpack quantize {path.with_suffix('.onnx').name} --to tflite -o {output.with_suffix('.tflite')}",
    )


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
