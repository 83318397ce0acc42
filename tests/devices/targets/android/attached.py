"""What tests do with attached devices and models for them."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlpack_edge.devices.targets.adb import AdbTarget
from mlpack_edge.runtimes.litert.library import TINY_MODEL
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from tests.devices.targets.android.scripted_adbd import ScriptedDevice

QUICK = Plan(processes=2, seconds=0.1, least_calls=5, time_limit=30)
Connect = Callable[..., ScriptedDevice]


def adb(*words: str) -> str:
    return subprocess.run(
        ["adb", *words], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    ).stdout


def nothing_left(device: ScriptedDevice) -> None:
    """Tidying up may go on for a moment after a connection broke."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (list(device.temporary.iterdir()) or running(device)):
        time.sleep(0.05)
    assert not list(device.temporary.iterdir())
    assert not running(device)


def running(device: ScriptedDevice) -> list[str]:
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


def model_file(
    folder: Path, block: bytes = TINY_MODEL, name: str = "tiny.tflite", format: str = "tflite"
) -> PreparedModel:
    path = folder / name
    path.write_bytes(block)
    feeds = ({"0": np.array([1.0, 2.5], np.float32)}, {"0": np.array([7.0, 8.0], np.float32)})
    return PreparedModel(str(path), path, format, hashlib.sha256(block).hexdigest(), len(block), (), 1, feeds, "digest")


def measured(target: AdbTarget, *models: PreparedModel) -> list[Any]:
    try:
        return list(target.bench(models, QUICK))
    finally:
        target.close()
