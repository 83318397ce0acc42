"""An adb server and devices of the tests' own."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.devices.targets.android.attached import Connect, adb, nothing_left
from tests.devices.targets.android.scripted_adbd import Behaviour, ScriptedDevice


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An adb server of our own, on a port and in a home of its own."""
    if shutil.which("adb") is None:
        pytest.skip("adb is not installed (Debian: apt install adb)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        for name in ("HOME", "ANDROID_USER_HOME", "ANDROID_SDK_HOME"):
            patch.setenv(name, str(home))
        patch.delenv("ADB_SERVER_SOCKET", raising=False)
        patch.delenv("ANDROID_SERIAL", raising=False)
        adb("start-server")
        yield
        adb("kill-server")


@pytest.fixture
def connect(server: None, tmp_path: Path) -> Iterator[Connect]:
    """Attach a device that behaves as told; at the end nothing of ours may lie on any, nor run there."""
    made: list[ScriptedDevice] = []

    def one(**behaviour: Any) -> ScriptedDevice:
        device = ScriptedDevice(tmp_path / f"device{len(made)}", Behaviour(**behaviour))
        made.append(device)
        adb("connect", device.serial)
        return device

    yield one
    for device in made:
        nothing_left(device)
        device.close()
    adb("disconnect")


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    made = tmp_path / "benchmark_model"
    made.write_text(f"#!{sys.executable}\n" + Path(__file__).with_name("tool_stand_in.py").read_text())
    return made
