"""What Arm's `vela`, the compiler for Ethos-U, is asked and what it says: rules over text, no process.

Seen in ethos-u-vela 4 and 5. Its summary is a table of one row (CSV); which operators stay on the CPU, and why, it prints.
A model of which nothing can run on the accelerator is compiled with exit code 0, time 0.0 and 0 cycles.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.core.errors import BadInput, Unsupported, WorkerFault

Json = dict[str, Any]

CONFIGS = (
    "ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512", "ethos-u85-128",
    "ethos-u85-256", "ethos-u85-512", "ethos-u85-1024", "ethos-u85-2048",
)  # fmt: skip
DEFAULT_CONFIG = "ethos-u55-128"
_KIB = 1024
_SHARE = re.compile(r"(?m)^(CPU|NPU) operators = (\d+) \(")
_REASON = re.compile(r"(?m)^Warning \(supported operators\) operator: (\S+), ofm: .*\nReason: (.*)$")
_OPEN = re.compile(r"(?m)^Tensor '.*' has a dynamic signature in axis (\d+)\. Setting shape axis \1 to 1 ")
#: Names of tensors in a reason make many of one.
_NAMED = re.compile(r" \([^()]*\)$")


@dataclass(frozen=True, slots=True)
class Estimate:
    """For one inference, of the part that runs on the accelerator. cycles: at `clock_hz`, the larger of computing and
    moving data, layer by layer. sram, dram, flash bytes: the most in use of each memory. left_on_cpu: [{op, count,
    reason}]: their time is not in the cycles. operators are counted after vela's own rewriting.
    """

    cycles: int
    clock_hz: int
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    macs: int
    npu_operators: int
    cpu_operators: int
    left_on_cpu: tuple[Json, ...]
    system: str
    memory_mode: str

    @property
    def cpu_share(self) -> float:
        """Of the operators, 0 to 1."""
        return self.cpu_operators / (self.cpu_operators + self.npu_operators)


def config_from_address(address: str) -> str:
    """The accelerator named after `ethos-u:`; the default where nothing is. Raises BadInput."""
    wanted = address.lower() or DEFAULT_CONFIG
    known = wanted if wanted.startswith("ethos-") else f"ethos-{wanted}"
    if known not in CONFIGS:
        raise BadInput(f"ethos-u:{address} is no Ethos-U", f"name one of {', '.join(CONFIGS)}")
    return known


def estimate_from_vela(summary: str, printed: str, shapes: Sequence[Sequence[int]], subject: str) -> Estimate:
    """Read the summary and the output of `vela --show-cpu-operations`. `shapes`: of the inputs that are meant.

    Raises Unsupported where nothing runs on the accelerator, and where vela took another size for one that the model
    leaves open; WorkerFault where it says nothing that is understood.
    """
    rows = list(csv.DictReader(io.StringIO(summary)))
    counts = {where: int(count) for where, count in _SHARE.findall(printed)}
    if len(rows) != 1 or set(counts) != {"CPU", "NPU"}:
        raise _not_understood(subject, printed)
    left = _left_on_cpu(printed)
    try:
        cycles = int(float(rows[0]["cycles_total"]))
        if counts["NPU"] == 0 or cycles == 0:
            raise _nothing_runs(left, counts["CPU"], subject)
        _check_sizes(printed, shapes, subject)
        return Estimate(
            cycles=cycles,
            clock_hz=int(float(rows[0]["core_clock"])),
            sram_bytes=_bytes(rows[0], "sram_memory_used"),
            dram_bytes=_bytes(rows[0], "dram_memory_used"),
            flash_bytes=_bytes(rows[0], "on_chip_flash_memory_used") + _bytes(rows[0], "off_chip_flash_memory_used"),
            macs=int(float(rows[0]["nn_macs"])),
            npu_operators=counts["NPU"],
            cpu_operators=counts["CPU"],
            left_on_cpu=left,
            system=rows[0]["system_config"],
            memory_mode=rows[0]["memory_mode"],
        )
    except (KeyError, ValueError) as fault:
        raise _not_understood(subject, printed) from fault


def _bytes(row: dict[str, str], column: str) -> int:
    """The columns are in KiB."""
    return round(float(row[column]) * _KIB)


def _left_on_cpu(printed: str) -> tuple[Json, ...]:
    counts: dict[tuple[str, str], int] = {}
    for op, reason in _REASON.findall(printed):
        key = op, _NAMED.sub("", reason.strip())
        counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple({"op": op, "count": count, "reason": reason} for (op, reason), count in ordered)


def _nothing_runs(left: tuple[Json, ...], count: int, subject: str) -> Unsupported:
    floating = any("Float" in one["reason"] for one in left)
    ops = ", ".join(dict.fromkeys(one["op"] for one in left)) or "all"
    return Unsupported(
        f"{subject}: nothing of it runs on the Ethos-U, all {count} operators stay on the CPU ({ops})",
        "quantize it to int8 first (the ONNX model, statically, as QDQ), then mlpack convert --to tflite" if floating
        else "see which operators an Ethos-U takes: vela --supported-ops-report",
        why=left[0]["reason"] if left else "", left_on_cpu=list(left),
    )  # fmt: skip


def _check_sizes(printed: str, shapes: Sequence[Sequence[int]], subject: str) -> None:
    """Vela reads every open size as 1; raise where another one was meant."""
    for axis in sorted({int(axis) for axis in _OPEN.findall(printed)}):
        other = [shape for shape in shapes if len(shape) > axis and shape[axis] != 1]
        if other:
            raise Unsupported(
                f"{subject}: vela takes 1 for size {axis} of an input, which is to be {other[0][axis]}",
                "convert the model with that size fixed (mlpack convert --shape NAME=...), or measure it at 1",
                why="the model leaves this size open",
            )


def _not_understood(subject: str, printed: str) -> WorkerFault:
    return WorkerFault(
        f"{subject}: vela ended well, but what it wrote is in no form known here",
        "take ethos-u-vela 5: pip install 'mlpack-edge[ethos-u]'", output=printed[-4000:],
    )  # fmt: skip
