"""`adb:` end to end: the real adb client, a device scripted over TCP, a stand-in for benchmark_model that runs the model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.core.errors import Unsupported, WorkerFault
from mlpack_edge.devices.targets.adb import AdbTarget
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.runtimes.measuring.comparison import compare
from mlpack_edge.runtimes.measuring.summaries import ToolResult
from tests.devices.targets.android.attached import QUICK, Connect, measured, model_file


def test_a_model_is_measured_and_nothing_that_the_tool_does_not_print_is_said(
    connect: Connect, tool: Path, tmp_path: Path
) -> None:
    device, stages = connect(), list[str]()
    target = AdbTarget(device.serial, TargetOptions(benchmark_model=tool, stage=stages.append))
    (result,) = measured(target, model_file(tmp_path))
    assert isinstance(result, ToolResult)
    record = result.to_json()
    assert record["target"] == f"adb:{device.serial}" and record["processes"] == 2 and record["samples"] >= 10
    latency = record["latency_ns"]
    assert 0 <= latency["min"] <= latency["p50"] and latency["p50_of"] == "launch medians"
    assert latency["p90"] is None and latency["p99"] is None
    assert record["isolated_ns"] == {"p50": None, "p99": None} and record["clean_share"] is record["ci95_ns"] is None
    assert record["verdict"] == "unstable" and "samples" in record["verdict_why"]
    assert record["peak_rss_bytes"] == 12.5 * 2**20 and record["load_ns"] > 0 and record["first_call_ns"] >= 0
    assert len(record["launches"]) == 2 and record["launches"][0]["threads"] == 1
    assert record["output_digest"] == "raw:" + hashlib.sha256(np.array([2.0, 5.0], np.float32).tobytes()).hexdigest()
    assert record["environment"]["runtime"]["sha256"] == hashlib.sha256(tool.read_bytes()).hexdigest()
    assert record["environment"]["inputs_confirmed"] and record["environment"]["threads_confirmed"]
    assert record["environment"]["inputs"].startswith("the first of 2 sets")
    assert any(stage.startswith("copying") for stage in stages) and any("round 2 of 2" in stage for stage in stages)


def test_the_device_is_described(connect: Connect, tool: Path) -> None:
    device = connect()
    target = AdbTarget("", TargetOptions(benchmark_model=tool))
    found = target.describe()
    target.close()
    environment = found["environment"]
    assert target.name == f"adb:{device.serial}"
    assert (
        environment["cpu"] == "Example Phone 3, ex3000" and environment["cores"] == 2 and environment["android"] == "14"
    )
    assert environment["features"] == ["asimd", "asimddp", "asimdhp", "i8mm"]
    assert environment["governor"] == "walt" and environment["frequency_mhz"] == 2850.0
    assert (
        environment["temperature_c"] == 43.25 and environment["throttled"] == environment["thermal_status"] == "light"
    )
    assert environment["battery"] == {"level": 87, "powered": ["USB"]} and environment["power_saver"] is False
    assert environment["emulated"] is None and environment["free_bytes"] > 0 and len(environment["machine_id"]) == 16
    assert found["runtimes"] == {"benchmark_model": hashlib.sha256(tool.read_bytes()).hexdigest()}


def test_several_models_are_compared_round_by_round_but_never_said_to_be_equal(
    connect: Connect, tool: Path, tmp_path: Path
) -> None:
    device = connect()
    models = [model_file(tmp_path), model_file(tmp_path, name="same.tflite")]
    a, b = measured(AdbTarget(device.serial, TargetOptions(benchmark_model=tool)), *models)
    assert compare(a, b, paired=True).verdict != "no difference"
    order = [command for command in device.commands if "--num_runs" in command and "output_filepath" not in command]
    assert len(order) == 4 and {"model0" in command for command in order[:2]} == {True, False}


def test_one_model_s_failure_leaves_the_others_their_figures(connect: Connect, tool: Path, tmp_path: Path) -> None:
    models = [
        model_file(tmp_path, b"SEGV", "dies.tflite"), model_file(tmp_path, b"\0" * 64, "broken.tflite"), model_file(tmp_path, b"x", "net.onnx", "onnx"),
        model_file(tmp_path, b"FEWER", "threads.tflite"), model_file(tmp_path),
    ]  # fmt: skip
    dies, broken, onnx, threads, good = measured(
        AdbTarget(connect().serial, TargetOptions(benchmark_model=tool)), *models
    )
    assert isinstance(dies, Refused) and isinstance(dies.error, WorkerFault) and "SIGSEGV" in dies.error.message
    assert (
        isinstance(broken, Refused)
        and isinstance(broken.error, Unsupported)
        and "Failed to load model" in broken.error.why
    )
    assert isinstance(onnx, Refused) and "mlpack convert" in onnx.error.hint and "net.tflite" in onnx.error.hint
    assert isinstance(threads, Refused) and "4 threads where 1" in threads.error.message
    assert isinstance(good, ToolResult)


def test_operators_are_timed_in_a_start_of_their_own(connect: Connect, tool: Path, tmp_path: Path) -> None:
    target = AdbTarget(connect().serial, TargetOptions(benchmark_model=tool))
    rows = target.profile(model_file(tmp_path), QUICK)
    target.close()
    assert [row["op"] for row in rows][1:] == ["SOFTMAX", "TfLiteXNNPackDelegate"]
    assert {row["method"] for row in rows} == {"benchmark_model"}
    with pytest.raises(Unsupported):
        target.outputs(model_file(tmp_path), QUICK)


@pytest.mark.long
def test_a_device_from_before_exit_codes_is_measured_too(connect: Connect, tool: Path, tmp_path: Path) -> None:
    """Android 6: what runs there is told by what it prints; tidying up takes longer, for the keeper's input never ends."""
    device = connect(old=True)
    target = AdbTarget(device.serial, TargetOptions(benchmark_model=tool))
    dies, good = measured(target, model_file(tmp_path, b"SEGV", "dies.tflite"), model_file(tmp_path))
    assert isinstance(dies, Refused) and "SIGSEGV" in dies.error.message
    assert isinstance(good, ToolResult) and good.to_json()["output_digest"].startswith("raw:")
    assert not list(device.temporary.iterdir())
