"""ONNX Runtime reports to Microsoft from a thread of its own, unless it is told not to; mlpack tells it, everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpack_edge.devices.targets.agent.source import agent_source
from mlpack_edge.runtimes.worker import run_isolated

_THREADS = "import os; print(len(os.listdir('/proc/self/task')), os.environ.get('ORT_DISABLE_TELEMETRY'))"


def _run(code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    line = [sys.executable, "-c", code]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_the_runtime_is_loaded_without_a_reporting_thread() -> None:
    assert _run(f"import mlpack_edge.runtimes.onnxruntime\n{_THREADS}").endswith(" 1")
    silent = _run(f"import os\nos.environ['ORT_DISABLE_TELEMETRY'] = '1'\nimport numpy, onnxruntime\n{_THREADS}")
    assert _run(f"import mlpack_edge.runtimes.onnxruntime\n{_THREADS}") == silent


def test_children_are_told_before_they_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    assert run_isolated("tests.runtimes.test_no_telemetry:told", {})["told"] == "1"
    assert b"ORT_DISABLE_TELEMETRY" in agent_source()


def told(payload: dict[str, object], stage: object) -> dict[str, str | None]:
    return {"told": os.environ.get("ORT_DISABLE_TELEMETRY")}
