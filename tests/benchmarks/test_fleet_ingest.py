"""benchmarks/fleet_ingest.py in miniature: what is stored, what is printed, and that memory does not grow with reports."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "benchmarks" / "fleet_ingest.py"


@pytest.fixture(scope="module")
def bench() -> Any:
    spec = importlib.util.spec_from_file_location("fleet_ingest", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.DIFFERENT = 20
    return module


@pytest.mark.long
def test_thousands_of_large_reports_are_stored_in_less_than_they_were_sent_in(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, in files that are written as soon as a few megabytes are gathered."""
    monkeypatch.setattr("mlpack_edge.fleet.parts.GATHERED", 8 << 20)
    found = bench.measure(6000, 60, tmp_path)
    assert found["counters"] > 2500 and found["reports"] == 6000
    assert found["bytes_per_report_sent"] < 2200
    assert found["bytes_per_report_stored"] < 2200
    assert found["parts"] >= 3
    assert 0 < found["cpu_seconds_per_million"] < 600, "ten times what it takes on a busy machine"
