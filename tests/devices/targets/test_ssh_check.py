"""`mlpack check --target ssh://`: the outputs of a machine behind a real sshd, and nothing of us stays there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.mlpack import mlpack_json
from tests.devices.targets.loopback import PYTHON, USER, Loopback
from tests.devices.targets.models import onnx_layer

pytestmark = pytest.mark.long


def test_a_file_is_held_bit_by_bit_against_a_machine_over_ssh(loopback: Loopback, tmp_path: Path) -> None:
    loopback.start()
    model = onnx_layer(tmp_path / "layer.onnx").path
    address = f"ssh://{USER}@127.0.0.1:{loopback.port}"
    words = ("--target", address, "--target-python", PYTHON, "--rows", "20")
    code, document = mlpack_json("check", model, *words)
    assert code == 0, document["error"]
    (item,) = document["architectures"]
    assert item["target"] == address and item["bit_identical"] and item["rows"] >= 20
    loopback.must_be_clean(0)


def test_a_machine_over_ssh_that_does_not_answer_could_not_be_checked(loopback: Loopback, tmp_path: Path) -> None:
    loopback.start()
    model = onnx_layer(tmp_path / "layer.onnx").path
    words = ("--target", f"ssh://{USER}@127.0.0.1:{loopback.port}", "--target-python", "/nowhere/python")
    code, document = mlpack_json("check", model, *words, "--rows", "20")
    assert code == 1 and document["architectures"] == [] and document["error"]["hint"]
    loopback.must_be_clean(0)
