"""Options that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.quantities import bytes_from_text, seconds_from_text
from mlpack_edge.runtimes.worker import Limits

Function = TypeVar("Function", bound=Callable[..., Any])


class Size(click.ParamType[int]):
    """A size in bytes: `300KB`, `8GB`, `512MiB`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return bytes_from_text(value)
        except BadInput as fault:
            self.fail(f"{fault.message}; {fault.hint}", param, ctx)


class Duration(click.ParamType[float]):
    """A duration in seconds: `90`, `5m`, `5ms`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return seconds_from_text(str(value))
        except BadInput as fault:
            self.fail(f"{fault.message}; {fault.hint}", param, ctx)


class Amount(click.ParamType[float]):
    """A finite number that is not negative."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            self.fail(f"{value!r} is not a number from 0 up", param, ctx)
        return number


class Shape(click.ParamType[tuple[str, tuple[int | str, ...]]]):
    """`NAME=1x3x224x224`, `NAME=batchx8`: sizes separated by x; a word is a size that may vary."""

    name = "shape"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int | str, ...]]:
        if isinstance(value, tuple):
            return value
        name, equals, sizes = value.rpartition("=")
        words = sizes.split("x")
        good = equals and name and all(re.fullmatch(r"\d+|[A-Za-wyz_][A-Za-wyz0-9_]*", word) for word in words)
        if not good or any(word == "0" for word in words):
            self.fail(f"{value!r} is not NAME=SIZExSIZE; write for example x=batchx3x224x224", param, ctx)
        return name, tuple(int(word) if word.isdigit() else word for word in words)


#: Of the formats that are written: one under the name of the other would be loaded by the wrong runtime.
_SUFFIXES = frozenset({".onnx", ".tflite"})


def refuse_name(output: Path, to: str) -> None:
    """Raise click.UsageError where the suffix of `output` is that of the other format. to: "onnx" or "tflite"."""
    if output.suffix.lower() in _SUFFIXES - {f".{to}"}:
        raise click.UsageError(f"{output} is no name for what --to {to} writes: rename it, or change --to")


def limit_options(function: Function) -> Function:
    """`--time-limit` and `--memory-limit` of the child process; see `limits_of`."""
    function = click.option(
        "--memory-limit",
        type=Size(),
        metavar="SIZE",
        help="Memory of the child process [default: 80% of this machine].",
    )(function)
    return click.option(
        "--time-limit", type=Duration(), default="30m", show_default=True, metavar="TIME",
        help="Time for the child process.",
    )(function)  # fmt: skip


def limits_of(time_limit: float, memory_limit: int | None) -> Limits:
    return Limits(time_limit, memory_limit)


def source_options(function: Function) -> Function:
    """How a source model is opened: data, shapes, weights, trust."""
    for option in (
        click.option(
            "--data", type=click.Path(path_type=Path, readable=False), metavar="DATA",
            help="Rows to compare on: .parquet, .csv, .arrow/.feather, .npy or .npz (one array per input).",
        ),
        click.option(
            "--shape", "shapes", type=Shape(), multiple=True, metavar="NAME=SIZES",
            help="Shape of an input, e.g. x=batchx3x224x224; a word is a size that varies. Repeatable.",
        ),
        click.option(
            "--dtype", type=click.Choice(["float32", "float64"]),
            help="Element type of numeric inputs [default: that of DATA; else float64 for data frames, float32].",
        ),
        click.option("--weights", type=click.Path(path_type=Path, readable=False), metavar="FILE",
                     help="Weights for package.module:attribute: .safetensors or a state dict."),
        click.option("--trust-pickle", is_flag=True,
                     help="Load a pickle or joblib file, which can run any code its author chose."),
        click.option("--rows", type=click.IntRange(1), default=1000, show_default=True, metavar="N",
                     help="Rows to make from the signature; DATA is compared whole."),
        click.option("--rtol", type=Amount(), metavar="X", help="Relative tolerance [default: by dtype and model family]."),
        click.option("--atol", type=Amount(), metavar="X", help="Absolute tolerance [default: by dtype and model family]."),
    ):  # fmt: skip
        function = option(function)
    return function


def data_option(function: Function) -> Function:
    """`--data` of commands that only run a model."""
    return click.option(
        "--data", type=click.Path(path_type=Path, readable=False), metavar="DATA",
        help="Rows to run on: .parquet, .csv, .arrow/.feather, .npy or .npz [default: made from the signature].",
    )(function)  # fmt: skip


def shape_option(function: Function) -> Function:
    """`--shape`, as for sources."""
    return click.option(
        "--shape", "shapes", type=Shape(), multiple=True, metavar="NAME=SIZES",
        help="Sizes that the model leaves open, e.g. x=1x3x224x224. Repeatable.",
    )(function)  # fmt: skip


def target_options(function: Function) -> Function:
    """`--target` and what some targets need."""
    return click.option(
        "--target", default="local", show_default=True, metavar="TARGET",
        help="local, ssh://USER@HOST[:PORT], adb:SERIAL, emulated:PROFILE or ethos-u:CONFIG; mlpack target list.",
    )(reaching_options(function))  # fmt: skip


def reaching_options(function: Function) -> Function:
    """What some targets need to be reached."""
    for option in (
        click.option("--target-python", default="python3", show_default=True, metavar="PROGRAM",
                     help="Python on a target over SSH, e.g. '~/venv/bin/python'."),
        click.option("--benchmark-model", type=click.Path(path_type=Path, readable=False), metavar="FILE",
                     help="TensorFlow Lite's benchmark_model for the Android device."),
        click.option("--vela", type=click.Path(path_type=Path, readable=False), metavar="FILE",
                     help="The command vela of ethos-u-vela [default: on PATH]."),
    ):  # fmt: skip
        function = option(function)
    return function
