"""`mlpack target`: what is there, what a setup would fetch, and the whole road on an emulated board."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlpack_edge.devices.emulation.boards import Profile
from tests.cli.mlpack import mlpack, mlpack_json
from tests.devices.conftest import emulated, emulated_data  # noqa: F401 - fixtures
from tests.devices.targets.models import onnx_layer, tflite_layers

Emulated = Callable[[str], Profile]


def test_every_target_and_emulated_machine_is_listed() -> None:
    code, document = mlpack_json("target", "list")
    assert code == 0
    found = {one["target"]: one for one in document["targets"]}
    assert {"local", "emulated:pi3", "emulated:pi4", "emulated:pi5", "emulated:armv7"} <= set(found)
    assert "time" not in found["emulated:pi4"]["gives"] and "time" in found["local"]["gives"]
    assert found["emulated:pi4"]["state"] in ("ready", "absent", "unavailable", "stale", "damaged")


def test_this_machine_can_be_checked() -> None:
    code, document = mlpack_json("target", "check", "local")
    assert code == 0 and document["environment"]["cpu"] and document["runtimes"]["onnxruntime"]


@pytest.mark.parametrize("target", ["local", "ssh://pi@rack", "emulated:", "emulated:pi9"])
def test_what_needs_no_setup_is_told(target: str) -> None:
    done = mlpack("target", "setup", target)
    assert done.returncode == 1 and "next:" in done.stderr


def test_what_is_not_set_up_says_the_line_that_does_it(tmp_path: Path) -> None:
    layer = onnx_layer(tmp_path / "layer.onnx").path
    done = mlpack("bench", layer, "--target", "emulated:pi4", MLPACK_DATA_DIR=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "mlpack target setup emulated:pi4" in done.stderr or "apt-get install qemu-user" in done.stderr


@pytest.mark.long
def test_an_emulated_board_counts_and_never_tells_time(emulated: Emulated, tmp_path: Path) -> None:  # noqa: F811
    """Setup, check, bench with a gate on instructions, a page, a calibration of another board."""
    emulated("pi4")
    code, document = mlpack_json("target", "setup", "emulated:pi4")
    assert code == 0 and document["fetched"] is None
    code, document = mlpack_json("target", "check", "emulated:pi4")
    assert code == 0 and document["environment"]["emulated"] and document["environment"]["arch"] == "aarch64"
    wide, layer = onnx_layer(tmp_path / "wide.onnx", 128).path, onnx_layer(tmp_path / "layer.onnx", 64).path
    tflite = tflite_layers(tmp_path / "layers.tflite").path
    words = ("--target", "emulated:pi4")
    code, document = mlpack_json("bench", layer, wide, tflite, *words, "--gate", "10%")
    assert code == 3 and "wide.onnx" in document["error"]["why"]
    for result in document["results"]:
        assert result["instructions"]["total"] > result["instructions"]["simd"] > 0
        for key in (
            "latency_ns",
            "isolated_ns",
            "first_call_ns",
            "load_ns",
            "clean_share",
            "harness_floor_ns",
            "verdict",
        ):
            assert result[key] is None, key
        assert not result["launches"]
    assert document["comparison"][0]["view"] == "instructions"
    done = mlpack("bench", layer, *words, "--json")
    (tmp_path / "counts.json").write_text(done.stdout)
    first = json.loads(done.stdout)["results"][0]["instructions"]["total"]
    page = tmp_path / "page.html"
    code, document = mlpack_json(
        "bench", layer, *words, "--baseline", tmp_path / "counts.json", "--gate", "1%", "--html", page
    )
    assert code == 0 and abs(document["results"][0]["instructions"]["total"] / first - 1) < 0.01
    assert " ms" not in page.read_text() and "µs" not in page.read_text()
    done = mlpack("bench", layer, *words, "--profile")
    assert done.returncode == 1 and "no time" in done.stderr
    board = {"cpu": "AMD EPYC", "arch": "x86_64", "emulated": None}
    models = [{"name": name, "format": "onnx", "sha256": "0" * 64, "p50_ns": 1e6, "runtime": "x 1"} for name in "ab"]
    calibration = {"kind": "mlpack.calibration", "schema": 1, "date": "2026-11-22", "board": board, "models": models}
    (tmp_path / "board.json").write_text(json.dumps(calibration))
    done = mlpack("bench", layer, *words, "--calibration", tmp_path / "board.json")
    assert done.returncode == 1 and "AMD EPYC" in done.stderr and "0xd08" in done.stderr
