"""Results of a tool that prints summaries: stored and read back, compared with care."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.measuring.baseline import results_from_document
from mlpack_edge.runtimes.measuring.comparison import compare
from mlpack_edge.runtimes.measuring.summaries import ToolLaunch, ToolResult


def _launch(p50: float | None, number: int = 0, **other: Any) -> ToolLaunch:
    least = 0.9 * (p50 or 1e6)
    known: dict[str, Any] = {
        "count": 100, "min_ns": least, "max_ns": 3 * least, "avg_ns": 1.2 * least, "std_ns": 1000.0, "p5_ns": None if p50 is None else least,
        "p50_ns": p50, "p95_ns": None if p50 is None else 2 * least, "load_ns": 5_000_000, "first_call_ns": 2_000_000,
        "warm_up_calls": 30, "warm_up_avg_ns": 1.5 * least, "memory_growth_bytes": 2**20, "peak_rss_bytes": None, "threads": 1,
        "delegates": ({"name": "XNNPACK", "kernels": None, "whole": None},), "round": number,
    }  # fmt: skip
    return ToolLaunch(**{**known, **other})


def _result(medians: list[float | None], model: str = "m.tflite") -> ToolResult:
    launches = tuple(_launch(median, number) for number, median in enumerate(medians))
    return ToolResult(
        model=model, format="tflite", model_sha256="0" * 64, bytes=100, target="adb:X", threads=1, batch=1,
        launches=tuple(launch.for_comparison() for launch in launches), harness_floor_ns=None,
        environment={"cpu": "c", "arch": "aarch64", "emulated": None, "machine_id": "one", "throttled": None, "runtime": {}},
        input_digest="i", output_digest="o", io="benchmark_model", tool_launches=launches, peak_rss_bytes=2**24,
    )  # fmt: skip


def _stored(*results: ToolResult) -> str:
    return json.dumps({"command": "bench", "schema": 1, "results": [result.to_json() for result in results]})


def test_a_stored_result_reads_back_as_it_was() -> None:
    result = _result([250e3, 260e3, 255e3])
    (back,) = results_from_document(_stored(result), "before.json")
    assert isinstance(back, ToolResult) and back.to_json() == result.to_json()
    assert back.to_json()["latency_ns"]["p50"] == 255e3


def test_a_stored_result_without_medians_reads_back_too() -> None:
    result = _result([None, None])
    (back,) = results_from_document(_stored(result), "before.json")
    assert back.to_json() == result.to_json() and back.to_json()["latency_ns"]["p50"] is None


@pytest.mark.parametrize("key", ["count", "min", "avg"])
def test_a_damaged_summary_is_named(key: str) -> None:
    document = json.loads(_stored(_result([250e3, 260e3])))
    document["results"][0]["launches"][1]["summary_ns"][key] = None
    with pytest.raises(BadInput, match="launch 1"):
        results_from_document(json.dumps(document), "before.json")


def test_a_clear_difference_is_found_round_by_round_and_equality_is_never_claimed() -> None:
    draw = np.random.default_rng(0)
    times = [float(time) for time in 1e6 * (1 + draw.normal(0, 0.003, 6))]
    one, same, slower = (_result([factor * time for time in times], f"{factor}.tflite") for factor in (1.0, 1.001, 1.2))
    assert compare(one, slower, paired=True).verdict == "slower"
    assert compare(slower, one, paired=True).verdict == "faster"
    assert compare(one, same, paired=True).verdict == "unclear"


def test_against_a_stored_result_the_interval_is_there_and_the_verdict_is_unclear() -> None:
    found = compare(_result([1e6, 1.01e6, 1.02e6]), _result([1.5e6, 1.51e6, 1.52e6]), paired=False)
    assert found.verdict == "unclear" and 1.1 < found.ci95[0] < 1.5 < found.ci95[1]


@pytest.mark.parametrize("medians", [[3e3, 4e3, 3e3], [None, None, None]])
def test_what_the_tool_s_clock_cannot_tell_apart_is_not_compared(medians: list[float | None]) -> None:
    found = compare(_result(medians), _result([1e6, 1e6, 1e6]), paired=True)
    assert found.verdict == "unclear" and np.isnan(found.ratio)
