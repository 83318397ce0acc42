"""`mlpack check --arch`: a file on the processors that are emulated, held bit by bit against this one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.devices.emulation.root import status
from mlpack_edge.devices.targets.agent.facts import environment
from mlpack_edge.runtimes.processors import saturates
from tests.cli.mlpack import mlpack_json
from tests.devices.conftest import Emulated
from tests.runtimes.tflite_models import mlp, requantized

pytestmark = pytest.mark.long


def _dense() -> onnx.ModelProto:
    """y = x W, x `[batch, 64]` from 0 on: pairs of products that do not fit into 16 bits, where both have 8."""
    weights = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name, width in (("x", 64), ("y", 16))
    ]  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "dense", value[:1], value[1:],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _quantized(folder: Path, reduce_range: bool) -> Path:
    """Static, signed weights: of 8 bits, or of 7."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        rows = iter([{"x": np.random.default_rng(1).uniform(0, 1, (50, 64)).astype(np.float32)}])

        def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[type-arg]
            return next(self.rows, None)

    onnx.save(_dense(), folder / "dense.onnx")
    out = folder / f"q{reduce_range}.onnx"
    quantize_static(
        folder / "dense.onnx", out, Rows(), activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        reduce_range=reduce_range,
    )  # fmt: skip
    return out


def test_sums_that_saturate_without_vnni_are_found_and_the_way_out_is_named(tmp_path: Path) -> None:
    """The same file gives other labels on many laptops; with weights of 7 bits it gives the same bits everywhere."""
    ready = status(profile_named("x86-64-avx2"))
    if ready.state != "ready":
        pytest.skip(ready.why)
    here = environment()
    if saturates(here) or "avx2" not in here["features"]:
        pytest.skip("this processor has no VNNI: it saturates itself")
    rows = tmp_path / "rows.npy"
    np.save(rows, np.random.default_rng(2).uniform(0.5, 1, (50, 64)).astype(np.float32))
    options = ["--data", rows, "--rows", "20", "--arch", "x86-64-avx2"]
    code, document = mlpack_json("check", _quantized(tmp_path, reduce_range=False), *options)
    assert code == 3 and not document["architectures"][0]["bit_identical"]
    assert "reduce_range" in document["error"]["hint"] and "emulated:x86-64-avx2" in document["error"]["hint"]
    code, document = mlpack_json("check", _quantized(tmp_path, reduce_range=True), *options)
    assert code == 0 and document["architectures"][0]["bit_identical"]


def test_onnx_and_tflite_files_are_held_against_a_64_bit_board(tmp_path: Path, emulated: Emulated) -> None:
    emulated("pi4")
    onnx.save(_dense(), tmp_path / "dense.onnx")
    (tmp_path / "mlp.tflite").write_bytes(mlp())
    for name, runtime in (("dense.onnx", "onnxruntime"), ("mlp.tflite", "ai-edge-litert")):
        code, document = mlpack_json("check", tmp_path / name, "--arch", "aarch64", "--rows", "30")
        (item,) = document["architectures"]
        assert code == 0, document["error"]
        assert (item["target"], item["arch"], item["emulated"]) == ("emulated:pi4", "aarch64", "qemu-user")
        assert item["runtime"] == item["runtime_here"] and item["runtime"]["name"] == runtime
        assert item["passed"] and item["rows"] >= 30


def test_codes_are_the_same_on_a_32_bit_board_under_another_runtime(tmp_path: Path, emulated: Emulated) -> None:
    emulated("armv7")
    (tmp_path / "q.tflite").write_bytes(requantized())
    code, document = mlpack_json("check", tmp_path / "q.tflite", "--arch", "armv7", "--rows", "30")
    (item,) = document["architectures"]
    assert code == 0 and item["runtime"]["name"] == "tflite-runtime" and item["bit_identical"]
    assert "tflite-runtime 2.14.0 there" in item["notes"][0]
