"""What `mlpack bench` was asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlpack_edge.cli.outcome import show_stage
from mlpack_edge.devices.targets.target import TargetOptions
from mlpack_edge.runtimes.measuring.gate import Gate
from mlpack_edge.runtimes.measuring.plan import Plan


@dataclass(frozen=True, slots=True)
class Request:
    """The command line."""

    models: tuple[Path, ...]
    target: str
    target_python: str
    benchmark_model: Path | None
    vela: Path | None
    threads: int
    spinning: bool
    batch: int | None
    processes: int
    seconds: float
    data: Path | None
    shapes: tuple[tuple[str, tuple[int | str, ...]], ...]
    profile: bool
    metrics: tuple[tuple[str, str, float], ...]
    baseline: Path | None
    gate: Gate | None
    calibration: Path | None
    time_limit: float
    memory_limit: int | None

    def plan(self) -> Plan:
        return Plan(
            processes=self.processes, seconds=self.seconds, threads=self.threads, spinning=self.spinning,
            time_limit=self.time_limit, memory_bytes=self.memory_limit,
        )  # fmt: skip

    def target_options(self) -> TargetOptions:
        return TargetOptions(
            python=self.target_python, benchmark_model=self.benchmark_model, vela=self.vela, stage=show_stage
        )
