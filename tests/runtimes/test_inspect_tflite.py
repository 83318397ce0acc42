"""`mlpack inspect` of TFLite: versions, tensors, scales, and the reason for which a runtime refuses the file."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpack_edge.cli.inspect import facts_text
from mlpack_edge.core.errors import BadInput
from mlpack_edge.runtimes.inspection.inspect import inspect_file
from mlpack_edge.runtimes.inspection.loads import in_runtime, runtimes_of
from mlpack_edge.runtimes.worker import Limits
from tests.runtimes.tflite_models import OP, Op, Tensor, add, endless, mlp, requantized, tflite


def facts_of(model: bytes, folder: Path, limits: Limits | None = None) -> dict[str, Any]:
    path = folder / "m.tflite"
    path.write_bytes(model)
    inspection = inspect_file(path, limits or Limits(seconds=60))
    assert inspection.problem is None
    return inspection.facts


def _int8_net() -> bytes:
    """x -> QUANTIZE -> FULLY_CONNECTED with a scale a channel -> DEQUANTIZE -> y."""
    return tflite(
        [
            Tensor("x", [-1, 3]), Tensor("q", [-1, 3], "int8", scales=[0.5], zero_points=[-1]),
            Tensor("w", [4, 3], "int8", np.ones((4, 3)), scales=[0.01, 0.02, 0.03, 0.125], axis=0),
            Tensor("b", [4], "int32", np.zeros(4), scales=[0.005, 0.01, 0.015, 0.0625], axis=0),
            Tensor("h", [-1, 4], "int8", scales=[2.0]), Tensor("y", [-1, 4]),
        ],
        [
            Op(OP.QUANTIZE, ["x"], ["q"]),
            Op(OP.FULLY_CONNECTED, ["q", "w", "b"], ["h"], ("FullyConnected", {}), version=5),
            Op(OP.DEQUANTIZE, ["h"], ["y"], version=2),
        ],
        ["x"], ["y"],
    )  # fmt: skip


def test_versions_tensors_and_scales_are_told(tmp_path: Path) -> None:
    facts = facts_of(_int8_net(), tmp_path)
    assert facts["op_versions"] == {"DEQUANTIZE": [2], "FULLY_CONNECTED": [5], "QUANTIZE": [1]}
    assert facts["tensors"] == {"float32": 2, "int32": 1, "int8": 3}
    found = facts["quantization"]
    assert found["scheme"] == "static, not all of the inputs and outputs"
    assert (found["per_tensor"], found["per_channel"], found["tensors"]) == (2, 2, 4)
    assert found["scales"] == {"min": pytest.approx(0.005), "max": 2.0}
    assert found["weights"] == {"int8": 12} and found["activations"] == {"int8": 2}
    assert facts["loads"]["litert"] is True
    text = facts_text(facts)
    assert "FULLY_CONNECTED 1 (v5)" in text and "2 per channel" in text and "scales 0.005 to 2" in text


def test_quantization_without_stored_integers_is_seen(tmp_path: Path) -> None:
    found = facts_of(requantized(), tmp_path)["quantization"]
    assert found["scheme"] == "static, integers in and out" and found["weights"] == {}
    assert facts_of(mlp(), tmp_path)["quantization"] is None


def test_integer_weights_alone_are_no_static_quantization(tmp_path: Path) -> None:
    model = tflite(
        [
            Tensor("x", [-1, 3]), Tensor("w", [4, 3], "int8", np.ones((4, 3)), scales=[0.01]),
            Tensor("b", [4], data=np.zeros(4)), Tensor("y", [-1, 4]),
        ],
        [Op(OP.FULLY_CONNECTED, ["x", "w", "b"], ["y"], ("FullyConnected", {}), version=3)], ["x"], ["y"],
    )  # fmt: skip
    found = facts_of(model, tmp_path)["quantization"]
    assert found["scheme"] == "integer weights" and found["activations"] == {} and found["share"] == 0.75


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (add(code=OP.CUSTOM, custom="MyOp"), "custom operators that the runtime has no kernel for: MyOp"),
        (add(code=OP.CUSTOM, custom="FlexErf"), "TensorFlow's own operators FlexErf: only a runtime built with"),
        (add(code=900), "operator code 900 is none that the runtime knows"),
        (add(version=99), "the runtime has no kernel for version 99 of ADD"),
        (add(dtype="uint8"), "it ends the process that opens it; 8-bit integers without a scale go into ADD"),
    ],
    ids=["custom", "flex", "unknown code", "later version", "abort"],
)
def test_a_refusal_is_explained(model: bytes, said: str, tmp_path: Path) -> None:
    facts = facts_of(model, tmp_path)
    assert facts["loads"]["litert"].startswith(said)
    assert said in facts_text(facts)


def test_a_file_that_never_ends_is_told(tmp_path: Path) -> None:
    facts = facts_of(endless(), tmp_path, Limits(seconds=4))
    assert "no end after 4 s" in facts["loads"]["litert"]


def test_a_cut_file_has_a_reason_from_the_runtime_too(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(_int8_net()[:-400])
    inspection = inspect_file(path)
    assert isinstance(inspection.problem, BadInput)
    assert isinstance(inspection.facts["loads"]["litert"], str)


def test_each_format_is_asked_of_its_runtimes() -> None:
    both = _is_installed("tflite-runtime")
    assert runtimes_of("tflite") == (["litert", "tflite-runtime"] if both else ["litert"])
    assert runtimes_of("onnx") == ["onnxruntime"]


def test_a_runtime_of_another_format_has_no_answer(tmp_path: Path) -> None:
    payload = {"runtime": "litert", "path": str(tmp_path / "m"), "format": "onnx"}
    assert in_runtime(payload, lambda stage: None) == {"loads": None}


def test_the_command_says_why(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(add(dtype="uint8"))
    line = [sys.executable, "-m", "mlpack_edge.cli.main", "inspect", str(path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "it ends the process" in done.stdout
    assert "Traceback" not in done.stderr and "INFO" not in done.stdout + done.stderr


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
