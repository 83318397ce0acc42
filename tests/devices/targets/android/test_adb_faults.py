"""What is wrong with the device or the tool is one clear error, and nothing is left lying or running on the device."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlpack_edge.core.errors import BadInput, IoFault, MissingExtra, MlpackError, Unsupported
from mlpack_edge.devices.targets.adb import AdbTarget
from mlpack_edge.devices.targets.target import Refused, TargetOptions
from mlpack_edge.runtimes.litert.library import TINY_MODEL
from mlpack_edge.runtimes.measuring.plan import Plan
from tests.devices.targets.android.attached import QUICK, Connect, measured, model_file, running
from tests.devices.targets.android.scripted_adbd import ScriptedDevice

# --- what is wrong with the device ----------------------------------------------------------------------------------------


def _error(kind: type[MlpackError], address: str, tool: Path, tmp_path: Path) -> MlpackError:
    with pytest.raises(kind) as caught:
        measured(AdbTarget(address, TargetOptions(benchmark_model=tool, time_limit=20)), model_file(tmp_path))
    assert caught.value.hint
    return caught.value


def test_no_device_is_said(server: None, tool: Path, tmp_path: Path) -> None:
    assert "no Android device is attached" in _error(IoFault, "", tool, tmp_path).message


@pytest.mark.parametrize("address", ["-s", "--help", "//phone", "a\nb"])
def test_an_address_that_is_no_serial_is_refused_before_anything_is_contacted(address: str) -> None:
    with pytest.raises(BadInput, match="names no Android device"):
        AdbTarget(address, TargetOptions())


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
            target.bench([model_file(tmp_path, block)], QUICK)
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
        (refused,) = target.bench([model_file(tmp_path, b"SLEEP")], plan)
    finally:
        target.close()
    assert isinstance(refused, Refused) and "did not end within" in refused.error.message


def _benching(device: ScriptedDevice, tool: Path, folder: Path) -> subprocess.Popen[str]:
    """A process that measures a model without end, once the device runs it."""
    script = (
        "from contextlib import closing; from pathlib import Path\n"
        "from mlpack_edge.devices.targets.target import TargetOptions\n"
        "from tests.devices.targets.android.attached import AdbTarget, QUICK, model_file\n"
        f"with closing(AdbTarget({device.serial!r}, TargetOptions(benchmark_model=Path({str(tool)!r})))) as target:\n"
        f"    target.bench([model_file(Path({str(folder)!r}), b'SLEEP')], QUICK)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[4], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not running(device) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(device)
    return child


def test_ctrl_c_leaves_nothing_behind(connect: Connect, tool: Path, tmp_path: Path) -> None:
    """The fixture looks. A process of its own: a signal raised in a test's process need not reach its main thread."""
    child = _benching(connect(), tool, tmp_path)
    child.send_signal(signal.SIGINT)
    _, printed = child.communicate(timeout=60)
    assert child.returncode and ("Interrupted" in printed or "KeyboardInterrupt" in printed)


def test_a_computer_that_dies_leaves_nothing_behind(connect: Connect, tool: Path, tmp_path: Path) -> None:
    """SIGKILL: no line of ours runs any more, and the device tidies up."""
    child = _benching(connect(), tool, tmp_path)
    child.kill()
    child.communicate()


# --- what is wrong with the tool --------------------------------------------------------------------------------------------


def test_no_tool_is_asked_for(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="that you bring") as caught:
        measured(AdbTarget(connect().serial, TargetOptions()), model_file(tmp_path))
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
