"""How long a call of each draft takes on the target, against the float file: a short run of `mlpack bench`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlpack_edge.cli.bench_request import Request
from mlpack_edge.cli.bench_run import run_bench
from mlpack_edge.cli.outcome import show_stage
from mlpack_edge.cli.quantize_request import QuantizeRequest
from mlpack_edge.converters.quantization.choosing import Latency
from mlpack_edge.core.errors import MlpackError, Unsupported, error_from_json
from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.devices.targets.target import TargetOptions, open_target

Json = dict[str, Any]
_ARM = ("aarch64", "arm64", "armv8l", "armv7l", "armv6l")


@dataclass(frozen=True, slots=True)
class Effort:
    """Processes and seconds of timed calls of a file."""

    processes: int
    seconds: float

    @property
    def usual_s(self) -> float:
        """Seconds that a file takes about, with the start of its processes."""
        return self.seconds + self.processes


#: A tenth between two files shows in the first, and there may be six files; the second is for where that left it open whether
#: the one to be written is slower.
SHORT, LONG = Effort(4, 2.0), Effort(8, 6.0)


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a target before anything is made. arm: whether its processor is (Ethos-U sits beside one).
    gives: as of `Target`."""

    arm: bool
    gives: frozenset[str]
    integer_only: bool


def place_of(request: QuantizeRequest) -> Place:
    """Ask the target what it is. Raises MlpackError where it does not answer, or does not run the format."""
    kind = request.target.partition(":")[0]
    with closing(open_target(request.target, _options(request))) as target:
        gives = target.gives
        if not gives & {"time", "instructions", "estimate"}:
            raise Unsupported(f"{target.name} measures nothing", "mlpack target list says what each target gives")
        if target.name == "emulated:armv7" and request.to == "onnx":
            raise Unsupported(
                "ONNX Runtime has no package for 32-bit ARM (armv7)",
                f"quantize for it with --to tflite: {_again(request)}",
            )
        if kind == "emulated" and (why := profile_named(target.name.partition(":")[2]).no_counts):
            raise Unsupported(
                f"{target.name} tells nothing of speed: {why}",
                "quantize for local or the device itself, and run the file there: mlpack check FILE --arch x86-64-avx2",
            )
        if kind == "local":
            return Place(platform.machine() in _ARM, gives, False)
        show_stage(f"asking {target.name} what it is")
        arch = target.describe()["environment"].get("arch") or ""
    return Place(kind == "ethos-u" or arch in _ARM or arch.startswith("arm"), gives, kind == "ethos-u")


@dataclass(frozen=True, slots=True)
class Measured:
    """float_ns: of the float file, None where it was not timed. drafts: what each takes. views: what was compared ("isolated",
    "experienced", "instructions", "cycles"), by draft, where the float file ran too. estimates: of a simulator, by draft."""

    float_ns: float | None
    drafts: Mapping[Path, Latency]
    views: Mapping[Path, str]
    estimates: Mapping[Path, Json]
    notes: tuple[str, ...]

    def again(self, other: Measured) -> Measured:
        """With what `other` found of some of them in place of what was found before."""
        return replace(
            self, drafts={**self.drafts, **other.drafts}, views={**self.views, **other.views},
            estimates={**self.estimates, **other.estimates},
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
        )  # fmt: skip


def measure(
    request: QuantizeRequest,
    float_file: Path,
    drafts: Sequence[Path],
    sample: Path | None,
    shapes: Json,
    effort: Effort = SHORT,
) -> Measured:
    """Time, or count, a call of each file.

    sample: rows to run on. shapes: input -> sizes of a call, where the model leaves some open. Raises
    MlpackError where nothing could be measured, or the float file could not though its format runs there.
    """
    document = run_bench(
        Request(
            models=(float_file, *drafts), target=request.target, target_python=request.target_python,
            benchmark_model=request.benchmark_model, vela=request.vela, threads=request.threads, spinning=False, batch=None,
            processes=effort.processes, seconds=effort.seconds, data=sample,
            shapes=tuple((name, tuple(sizes)) for name, sizes in shapes.items()), profile=False, metrics=(), baseline=None,
            gate=None, calibration=None, time_limit=1800.0, memory_limit=request.memory_limit,
        )
    )  # fmt: skip
    refused = {item["model"]: error_from_json({**item["error"], "data": {}}) for item in document["refused"]}
    if str(float_file) in refused and not request.target.startswith("ethos-u"):
        raise refused[str(float_file)]
    results = {item["model"]: item for item in document["results"]}
    against = {item["b"]: item for item in document["comparison"] if item["a"] == str(float_file)}
    found = {path: _latency(results.get(str(path)), against.get(str(path)), refused.get(str(path))) for path in drafts}
    views = {path: against[str(path)]["view"] for path in drafts if str(path) in against}
    estimates = {path: results[str(path)]["estimate"] for path in drafts if results.get(str(path), {}).get("estimate")}
    notes = [text.replace(str(float_file), "the float model") for text in document["notes"]]
    if request.io == "int8":  # codes against numbers: they are the same rows
        notes = [text for text in notes if not text.startswith("inputs differ")]
    notes += [_left(path, told) for path, told in estimates.items() if told["cpu_operators"]]
    return Measured(_median(results.get(str(float_file))), found, views, estimates, tuple(notes))


def _left(path: Path, estimate: Json) -> str:
    """What the cycles of an estimate leave out."""
    names = ", ".join(sorted({one["op"] for one in estimate["left_on_cpu"]}))
    count = estimate["cpu_operators"]
    operators = f"{count} operator{'s' if count > 1 else ''}{f' ({names})' if names else ''}"
    return (
        f"{path} leaves {operators} to the processor beside the NPU: its {estimate['cycles']:,} cycles are of the NPU alone, "
        "time a call on the device itself"
    )


def _latency(result: Json | None, compared: Json | None, refusal: MlpackError | None) -> Latency:
    if result is None:
        said = f"{refusal.message}: {refusal.why}" if refusal is not None and refusal.why else str(refusal)
        return Latency(None, refused=said)
    if compared is None or compared["ratio"] is None:
        return Latency(_median(result))
    low, high = compared["ci95"]
    interval = None if low is None or high is None else (low, high)
    counted = compared["view"] if compared["view"] in ("instructions", "cycles") else ""
    return Latency(_median(result), compared["ratio"], interval, compared["verdict"], counted=counted)


def _median(result: Json | None) -> float | None:
    """Of the calls that nothing interrupted, where there are enough; else of all; None where nothing was timed."""
    for name in ("isolated_ns", "latency_ns"):
        if result is not None and result[name] and result[name]["p50"] is not None:
            return float(result[name]["p50"])
    return None


def _options(request: QuantizeRequest) -> TargetOptions:
    return TargetOptions(
        python=request.target_python, benchmark_model=request.benchmark_model, vela=request.vela, stage=show_stage
    )


def _again(request: QuantizeRequest) -> str:
    return f"mlpack quantize {request.model} --to tflite -o {request.output.with_suffix('.tflite').name}"
