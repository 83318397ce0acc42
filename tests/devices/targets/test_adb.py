"""`adb:` end to end: the real adb client, a device scripted over TCP, a stand-in for benchmark_model that runs the model."""

from __future__ import annotations

import hashlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.core.errors import BadInput, Interrupted, IoFault, MissingExtra, MlpackError, Unsupported, WorkerFault
from mlpack_edge.devices.targets.adb import AdbTarget
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.devices.targets.tool_result import ToolResult
from mlpack_edge.runtimes.litert.library import TINY_MODEL
from mlpack_edge.runtimes.measuring.comparison import compare
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from tests.devices.targets.scripted_adbd import Behaviour, ScriptedDevice

pytestmark = pytest.mark.skipif(shutil.which("adb") is None, reason="adb is not installed (Debian: apt install adb)")
QUICK = Plan(processes=2, seconds=0.1, least_calls=5, time_limit=30)
Connect = Callable[..., ScriptedDevice]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An adb server of our own, on a port and in a home of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        for name in ("HOME", "ANDROID_USER_HOME", "ANDROID_SDK_HOME"):
            patch.setenv(name, str(home))
        patch.delenv("ADB_SERVER_SOCKET", raising=False)
        patch.delenv("ANDROID_SERIAL", raising=False)
        _adb("start-server")
        yield
        _adb("kill-server")


@pytest.fixture
def connect(server: None, tmp_path: Path) -> Iterator[Connect]:
    """Attach a device that behaves as told; at the end nothing of ours may lie on any, nor run there."""
    made: list[ScriptedDevice] = []

    def one(**behaviour: Any) -> ScriptedDevice:
        device = ScriptedDevice(tmp_path / f"device{len(made)}", Behaviour(**behaviour))
        made.append(device)
        _adb("connect", device.serial)
        return device

    yield one
    for device in made:
        _nothing_left(device)
        device.close()
    _adb("disconnect")


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    made = tmp_path / "benchmark_model"
    made.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("tool_stand_in.py").read_text())
    return made


def _adb(*words: str) -> str:
    return subprocess.run(
        ["adb", *words], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    ).stdout


def _nothing_left(device: ScriptedDevice) -> None:
    """Tidying up may go on for a moment after a connection broke."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (list(device.temporary.iterdir()) or _running(device)):
        time.sleep(0.05)
    assert not list(device.temporary.iterdir())
    assert not _running(device)


def _running(device: ScriptedDevice) -> list[str]:
    """Command lines of processes that run the tool of this device."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            inside = str((process / "cwd").readlink()).startswith(str(device.temporary))
        except OSError:
            continue
        if inside and "benchmark_model" in line:
            found.append(line)
    return found


def _model(folder: Path, block: bytes = TINY_MODEL, name: str = "tiny.tflite", format: str = "tflite") -> PreparedModel:
    path = folder / name
    path.write_bytes(block)
    feeds = ({"0": np.array([1.0, 2.5], np.float32)}, {"0": np.array([7.0, 8.0], np.float32)})
    return PreparedModel(str(path), path, format, hashlib.sha256(block).hexdigest(), len(block), (), 1, feeds, "digest")


def _measured(target: AdbTarget, *models: PreparedModel) -> list[Any]:
    try:
        return list(target.bench(models, QUICK))
    finally:
        target.close()


def test_a_model_is_measured_and_nothing_that_the_tool_does_not_print_is_said(
    connect: Connect, tool: Path, tmp_path: Path
) -> None:
    device, stages = connect(), list[str]()
    target = AdbTarget(device.serial, TargetOptions(benchmark_model=tool, stage=stages.append))
    (result,) = _measured(target, _model(tmp_path))
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
    models = [_model(tmp_path), _model(tmp_path, name="same.tflite")]
    a, b = _measured(AdbTarget(device.serial, TargetOptions(benchmark_model=tool)), *models)
    assert compare(a, b, paired=True).verdict != "no difference"
    order = [command for command in device.commands if "--num_runs" in command and "output_filepath" not in command]
    assert len(order) == 4 and {"model0" in command for command in order[:2]} == {True, False}


def test_one_model_s_failure_leaves_the_others_their_figures(connect: Connect, tool: Path, tmp_path: Path) -> None:
    models = [
        _model(tmp_path, b"SEGV", "dies.tflite"), _model(tmp_path, b"\0" * 64, "broken.tflite"), _model(tmp_path, b"x", "net.onnx", "onnx"),
        _model(tmp_path, b"FEWER", "threads.tflite"), _model(tmp_path),
    ]  # fmt: skip
    dies, broken, onnx, threads, good = _measured(
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
    rows = target.profile(_model(tmp_path), QUICK)
    target.close()
    assert [row["op"] for row in rows][:2] == ["TfLiteXNNPackDelegate", "SOFTMAX"]
    assert {row["method"] for row in rows} == {"benchmark_model"}
    with pytest.raises(Unsupported):
        target.outputs(_model(tmp_path), QUICK)


# --- what is wrong with the device ----------------------------------------------------------------------------------------


def _error(kind: type[MlpackError], address: str, tool: Path, tmp_path: Path) -> MlpackError:
    with pytest.raises(kind) as caught:
        _measured(AdbTarget(address, TargetOptions(benchmark_model=tool, time_limit=20)), _model(tmp_path))
    assert caught.value.hint
    return caught.value


def test_no_device_is_said(server: None, tool: Path, tmp_path: Path) -> None:
    assert "no Android device is attached" in _error(IoFault, "", tool, tmp_path).message


def test_two_devices_and_no_name_show_the_choice(connect: Connect, tool: Path, tmp_path: Path) -> None:
    one, other = connect(), connect()
    hint = _error(BadInput, "", tool, tmp_path).hint
    assert f"adb:{one.serial}" in hint and f"adb:{other.serial}" in hint


def test_another_device_than_the_one_attached_is_named(connect: Connect, tool: Path, tmp_path: Path) -> None:
    device = connect()
    fault = _error(IoFault, "R58M123", tool, tmp_path)
    assert "R58M123" in fault.message and device.serial in fault.hint


def test_a_device_that_did_not_allow_this_computer(connect: Connect, tool: Path, tmp_path: Path) -> None:
    fault = _error(IoFault, connect(refuse_login=True).serial, tool, tmp_path)
    assert "is unauthorized" in fault.message and "dialog" in fault.hint


@pytest.mark.long
def test_a_device_that_is_offline(connect: Connect, tool: Path, tmp_path: Path) -> None:
    """adb waits ten seconds for it to answer."""
    fault = _error(IoFault, connect(silent=True).serial, tool, tmp_path)
    assert "is offline" in fault.message and "reconnect" in fault.hint


@pytest.mark.parametrize(
    ("moment", "block"), [("--min_secs=0.05", TINY_MODEL), ("--output_filepath", b"SLEEP"), ("mktemp", b"SLEEP")]
)
def test_a_device_that_vanishes_in_the_middle(
    moment: str, block: bytes, connect: Connect, tool: Path, tmp_path: Path
) -> None:
    """What it was running and what was copied there goes with the connection: the fixture looks."""
    device = connect(vanish_at=moment)
    with pytest.raises(IoFault, match=r"went away while") as caught:
        target = AdbTarget(device.serial, TargetOptions(benchmark_model=tool))
        try:
            target.bench([_model(tmp_path, block)], QUICK)
        finally:
            target.close()
    assert device.serial in caught.value.message


def test_a_full_disk_there(connect: Connect, tool: Path, tmp_path: Path) -> None:
    fault = _error(IoFault, connect(room=100).serial, tool, tmp_path)
    assert "no room left while copying benchmark_model" in fault.message and "df /data/local/tmp" in fault.hint


def test_an_android_emulator_is_not_timed(connect: Connect, tool: Path, tmp_path: Path) -> None:
    device = connect(properties={"ro.kernel.qemu": "1"})
    assert "emulator" in _error(Unsupported, device.serial, tool, tmp_path).message


def test_a_model_that_never_ends_is_stopped_there(connect: Connect, tool: Path, tmp_path: Path) -> None:
    target = AdbTarget(connect().serial, TargetOptions(benchmark_model=tool))
    plan = Plan(processes=1, seconds=0.1, time_limit=1)
    try:
        (refused,) = target.bench([_model(tmp_path, b"SLEEP")], plan)
    finally:
        target.close()
    assert isinstance(refused, Refused) and "did not end within" in refused.error.message


def test_ctrl_c_leaves_nothing_behind(connect: Connect, tool: Path, tmp_path: Path) -> None:
    target = AdbTarget(connect().serial, TargetOptions(benchmark_model=tool))
    threading.Timer(2.5, signal.raise_signal, (signal.SIGINT,)).start()
    with pytest.raises((Interrupted, KeyboardInterrupt)):
        try:
            target.bench([_model(tmp_path, b"SLEEP")], QUICK)
        finally:
            target.close()


def test_a_computer_that_dies_leaves_nothing_behind(connect: Connect, tool: Path, tmp_path: Path) -> None:
    """SIGKILL: no line of ours runs any more, and the device tidies up."""
    device, model = connect(), _model(tmp_path, b"SLEEP")
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from tests.devices.targets.test_adb import AdbTarget, TargetOptions, QUICK, _model\n"
        f"AdbTarget({device.serial!r}, TargetOptions(benchmark_model=Path({str(tool)!r}))).bench("
        f"[_model(Path({str(model.path.parent)!r}), b'SLEEP')], QUICK)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[3])
    deadline = time.monotonic() + 30
    while not _running(device) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _running(device)
    child.kill()
    child.wait()


# --- what is wrong with the tool --------------------------------------------------------------------------------------------


def test_no_tool_is_asked_for(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="that you bring") as caught:
        _measured(AdbTarget(connect().serial, TargetOptions()), _model(tmp_path))
    assert "--benchmark-model" in caught.value.hint


@pytest.mark.parametrize(
    ("block", "kind", "words"),
    [
        (None, BadInput, "cannot be read"),
        (b"<html>not found</html>", BadInput, "no program for Android"),
        (b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x03\x00\x28\x00" + bytes(40), Unsupported, "built for armeabi-v7a"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_the_tool(
    block: bytes | None, kind: type[MlpackError], words: str, connect: Connect, tmp_path: Path
) -> None:
    """The last is the head of a 32-bit ARM program, and the device runs x86_64 and arm64-v8a."""
    path = tmp_path / "file"
    if block is not None:
        path.write_bytes(block)
    assert words in _error(kind, connect().serial, path, tmp_path).message


def test_a_tool_that_does_not_start(connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("#!/no/such/shell\n")
    fault = _error(BadInput, connect().serial, path, tmp_path)
    assert "does not start on the device" in fault.message and "bench-android.md" in fault.hint


def test_adb_itself_is_asked_for_where_it_is_absent(
    monkeypatch: pytest.MonkeyPatch, tool: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt install adb" in _error(MissingExtra, "", tool, tmp_path).hint
