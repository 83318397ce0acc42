"""What TensorFlow Lite's `benchmark_model` is asked and what it prints: rules over text, no process.

The tool prints a summary of each launch, never its samples. Three forms are in use; what one of them does not print is
None here:

- until 2019: `count= first= curr= min= max= avg= std=` and "Average inference timings in us: Warmup: .., Init: ..,
  no stats: ..", all on standard error;
- until 2024: the same line of counts and "Inference timings in us: Init: .., First inference: .., Warmup (avg): ..,
  Inference (avg): ..";
- since: the counts with `p5= median= p95=` behind them, lines with "INFO: ", "WARN: ", "ERROR: ", "FATAL: " before.

(tensorflow/lite/tools/benchmark/benchmark_model.cc, tsl/util/stats_calculator.h; LiteRT keeps them under tflite/tools.
LiteRT builds another tool of the same name, litert/tools/benchmark_litert_model.cc: it draws its inputs at random and is
refused for it.)
It times whole microseconds. Its percentile p of n samples is the one at place n * p // 100 of the sorted ones, so
`median` is the upper of two middle ones. One line stands for all samples being equal: `count=50 curr=12(all same)`.
"""

from __future__ import annotations

import math
import re
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlpack_edge.core.errors import BadInput, Unsupported, WorkerFault
from mlpack_edge.runtimes.measuring.summaries import ToolLaunch

Json = dict[str, Any]

#: The line that ends a launch, with the exit code: without it the connection ended first.
END = "mlpack-exit"
_KIB = 1024
_LEVEL = re.compile(r"^(?:native : \S+ )?(?:(INFO|WARN|WARNING|ERROR|FATAL): ?)?(.*)$")
_STATISTICS = re.compile(r"^count=(\d+)\b")
_PAIR = re.compile(r"(\w+)=(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
_NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|-?nan)"
_TIMINGS = re.compile(rf"^Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER},")
_OLD_TIMINGS = re.compile(rf"^Average inference timings in us: Warmup: {_NUMBER}, Init: {_NUMBER}, no stats: {_NUMBER}")
_THREADS = re.compile(r"^(?:#threads used for CPU inference|Num threads): \[(-?\d+)\]")
_MEMORY = re.compile(
    rf"^(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): init={_NUMBER} overall={_NUMBER}"
)
_PEAK = re.compile(rf"^Overall peak memory footprint \(MB\) via periodic monitoring: {_NUMBER}")
_CREATED = re.compile(r"^Created TensorFlow Lite (?:delegate for )?(\w+)")
_WHOLE = re.compile(r"^Explicitly applied (\S+) delegate, and the model graph will be completely executed")
_PART = re.compile(
    r"^Explicitly applied (\S+) delegate, and the model graph will be partially executed .*?(\d+) delegate kernels"
)
_NOT = re.compile(r"^Though (\S+) delegate is explicitly applied, the model graph will not be executed")
#: It lists the options that it was given, or notes that an input has another name than it was called by.
_INPUTS = re.compile(r"^Input (?:layer )?values? files: \[.+\]|.* but flags call it input0\b")
_IGNORED_FLAGS = re.compile(r"^(?:Unconsumed cmdline flags|Unrecognized commandline flags?): (.*)$")
_NEEDED_FLAGS = frozenset(
    ("--num_threads", "--num_runs", "--min_secs", "--input_layer_value_files", "--input_layer_shape")
)
_NO_FAULT = ("INFO", "WARN", "WARNING")
_FAULTS = (
    "failed to ", "didn't find op", "registration failed", "encountered unresolved custom op", "cannot link executable",
    "not executable", "no such file", "permission denied", "exec format error",
    "aborting", "disallowed cpu fallback", "input tensor #", "not found", "has text relocations",
)  # fmt: skip
#: 128 + a signal's number is how a shell tells that a signal ended a program.
_SIGNALLED = 128


def arguments(
    graph: str,
    *,
    threads: int,
    runs: int,
    seconds: float,
    limit: float,
    inputs: Sequence[tuple[str, Sequence[int]]] = (),
    extra: Mapping[str, str] | None = None,
) -> list[str]:
    """What follows the tool's name. `inputs`: (file of raw values, shape), in the order of the model's inputs.

    The inputs are called by their place: the tool needs a name for each only to tell them apart, notes where it is not
    the tensor's, and would take a comma or colon in one for the end of it. `limit`: seconds after which it stops
    whatever it counted.
    """
    given = {
        "graph": graph,
        "num_threads": str(threads),
        "num_runs": str(runs),
        "min_secs": f"{seconds:g}",
        "max_secs": f"{limit:g}",
        "warmup_runs": "1",
        "warmup_min_secs": "0.5",
    }
    if inputs:
        names = [f"input{place}" for place in range(len(inputs))]
        given["input_layer"] = ",".join(names)
        given["input_layer_shape"] = ":".join(",".join(map(str, shape)) for _, shape in inputs)
        given["input_layer_value_files"] = ",".join(
            f"{name}:{file}" for name, (file, _) in zip(names, inputs, strict=True)
        )
    return [f"--{name}={value}" for name, value in {**given, **(extra or {})}.items()]


def launch_script(folder: str, tool: str, words: Sequence[str]) -> str:
    """The line of shell that runs the tool, its output in one stream, its process number in `folder`/pid meanwhile."""
    command = " ".join(shlex.quote(word) for word in (tool, *words))
    return (
        f"cd {shlex.quote(folder)} || exit 1; {command} 2>&1 & echo $! >pid; wait $!; code=$?; rm -f pid; "
        f"echo; echo {END} $code"
    )


def launch_from_output(text: str, threads: int, subject: str, round_: int = 0) -> ToolLaunch:
    """Read what one launch printed, `END` and its exit code at the end. `subject`: the model, for messages.

    Raises Unsupported where the tool refused the model or took other threads than asked, WorkerFault where a signal
    ended it or its output is in no known form, BadInput where the tool itself does not start.
    """
    lines, code = _lines_and_code(text)
    _check_end(lines, code, subject)
    plain = [line for _, line in lines]
    _check_flags(plain, subject)
    statistics = [line for line in plain if _STATISTICS.match(line)]
    timings = next((found for line in plain if (found := _TIMINGS.match(line) or _OLD_TIMINGS.match(line))), None)
    if timings is None or len(statistics) != 2:
        why = f"{len(statistics)} lines of statistics where two belong" if timings else "no line of inference timings"
        raise _unknown_form(subject, why, text)
    warm_up, timed = (_statistics(line, subject) for line in statistics)
    load = float(timings[2 if timings.re is _OLD_TIMINGS else 1])
    if math.isnan(load):
        raise _unknown_form(subject, "its time of loading is no number", text)
    return ToolLaunch(
        count=int(timed["count"]),
        min_ns=timed["min"],
        max_ns=timed["max"],
        avg_ns=timed["avg"],
        std_ns=timed.get("std"),
        p5_ns=timed.get("p5"),
        p50_ns=timed.get("median"),
        p95_ns=timed.get("p95"),
        load_ns=round(load * 1000),
        first_call_ns=round(warm_up["first"]),
        warm_up_calls=int(warm_up["count"]),
        warm_up_avg_ns=warm_up["avg"],
        memory_growth_bytes=_mebibytes(plain, _MEMORY, 2),
        peak_rss_bytes=_mebibytes(plain, _PEAK, 1),
        threads=_threads(plain, threads, subject),
        delegates=_delegates(plain, subject),
        inputs_confirmed=any(_INPUTS.match(line) for line in plain),
        round=round_,
    )


# --- lines ----------------------------------------------------------------------------------------------------------


def _lines_and_code(text: str) -> tuple[list[tuple[str, str]], int | None]:
    """(level, text) of each line, and the exit code; None where the output ends before it."""
    head, end, tail = text.rpartition(END + " ")
    code = re.match(r"\d+", tail) if end else None
    lines = (head if code else text).splitlines()
    found = [_LEVEL.match(line.strip()) for line in lines]
    return [(line[1] or "", line[2]) for line in found if line], int(code[0]) if code else None


def _check_end(lines: list[tuple[str, str]], code: int | None, subject: str) -> None:
    """Raise unless the tool ended with 0."""
    if code == 0:
        return
    faults = list(_faults(lines))
    data = {"output": [line for _, line in lines][-40:]}
    why = faults[0] if faults else next((line for _, line in reversed(lines) if line), "")
    if code is None:
        raise WorkerFault(
            f"{subject}: benchmark_model was cut off before its end",
            "look at the device and its cable, then start it again", why=why, **data,
        )  # fmt: skip
    if code > _SIGNALLED and code - _SIGNALLED in set(signal.Signals):
        raise WorkerFault(
            f"{subject}: benchmark_model was ended by {signal.Signals(code - _SIGNALLED).name} on the device",
            "the device ran out of memory, or the model brings this build of benchmark_model down; try another build",
            why=why, **data,
        )  # fmt: skip
    if code in (126, 127) or "cannot link executable" in why.lower():
        raise BadInput(
            "benchmark_model does not start on the device",
            "give --benchmark-model a build for this device: docs/how-to/bench-android.md", why=why, **data,
        )  # fmt: skip
    raise Unsupported(
        f"{subject}: benchmark_model refused it (exit code {code})",
        "take a newer benchmark_model, or look at the model's operators with mlpack inspect", why=why, **data,
    )  # fmt: skip


def _faults(lines: list[tuple[str, str]]) -> Iterator[str]:
    """Lines that say what went wrong, the first the most specific; not the closing "Benchmarking failed."."""
    for level, line in lines:
        said = line.lower()
        if level in _NO_FAULT or said.startswith(("benchmarking failed", "usage:")):
            continue
        if level in ("ERROR", "FATAL") or any(word in said for word in _FAULTS):
            yield line


def _check_flags(plain: list[str], subject: str) -> None:
    """Raise where this tool passed over an option that the figures depend on."""
    for line in plain:
        found = _IGNORED_FLAGS.match(line)
        ignored = {word.split("=")[0] for word in found[1].split()} if found else set()
        if needed := ignored & _NEEDED_FLAGS:
            raise Unsupported(
                f"{subject}: this benchmark_model does not know {', '.join(sorted(needed))}",
                "take the one of TensorFlow Lite 2.2 or newer (tflite/tools/benchmark), not LiteRT's of the same name for "
                "CompiledModel: docs/how-to/bench-android.md", why=line,
            )  # fmt: skip


def _statistics(line: str, subject: str) -> dict[str, float]:
    """The numbers of a line of counts, times in ns. One value in all samples is every statistic of them.

    "std" is not there where rounding makes it "-nan": the tool takes the root of a difference of large sums.
    """
    found = {name: float(value) for name, value in _PAIR.findall(line)}
    if not found["count"]:
        raise WorkerFault(
            f"{subject}: benchmark_model ran nothing", "give it more seconds", why=line,
        )  # fmt: skip
    if "min" not in found and "curr" in found:
        only = found["curr"]
        found = {"first": only, "min": only, "max": only, "avg": only, "std": 0.0, **found}
    if lacking := [name for name in ("first", "min", "max", "avg") if name not in found]:
        raise _unknown_form(subject, f"no {lacking[0]} in {line!r:.200}", line)
    return {name: value if name == "count" else value * 1000 for name, value in found.items()}


def _unknown_form(subject: str, why: str, text: str) -> WorkerFault:
    return WorkerFault(
        f"{subject}: benchmark_model ended well, but what it printed is in no form known here",
        "use the benchmark_model of TensorFlow Lite 2.x or LiteRT: docs/how-to/bench-android.md", why=why,
        output=text[-4000:],
    )  # fmt: skip


def _mebibytes(plain: list[str], pattern: re.Pattern[str], group: int) -> int | None:
    found = next((match for line in plain if (match := pattern.match(line))), None)
    return round(float(found[group]) * _KIB * _KIB) if found and float(found[group]) > 0 else None


def _threads(plain: list[str], wanted: int, subject: str) -> int | None:
    said = {int(match[1]) for line in plain if (match := _THREADS.match(line))}
    if said - {wanted}:
        raise Unsupported(
            f"{subject}: benchmark_model took {', '.join(map(str, sorted(said)))} threads where {wanted} were asked",
            "take another build of benchmark_model",
        )
    return wanted if said else None


def _delegates(plain: list[str], subject: str) -> tuple[Json, ...]:
    """What ran instead of the plain kernels. Raises where a delegate was asked for and took nothing."""
    found: dict[str, Json] = {}
    for line in plain:
        if missed := _NOT.match(line):
            raise Unsupported(
                f"{subject}: the delegate {missed[1]} took no part of the model",
                "measure without it", why=line,
            )  # fmt: skip
        if part := _PART.match(line):
            found[part[1]] = {"name": part[1], "kernels": int(part[2]), "whole": False}
        elif whole := _WHOLE.match(line):
            found[whole[1]] = {"name": whole[1], "kernels": 1, "whole": True}
        elif made := _CREATED.match(line):
            found.setdefault(made[1], {"name": made[1], "kernels": None, "whole": None})
    return tuple(found.values())
