"""`mlpack convert --to tflite`, and `mlpack check` and `inspect` on what it writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper

from mlpack_edge.core.signature import signature_from_json
from mlpack_edge.runtimes.litert.model_file import metadata_of
from tests.cli.mlpack import mlpack, mlpack_json

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions with an open batch; the second layer is called `features`."""
    weights = {
        "w": RANDOM.normal(size=(8, 3, 3, 3)) / 5, "b": RANDOM.normal(size=8),
        "v": RANDOM.normal(size=(4, 8, 3, 3)) / 8, "c": RANDOM.normal(size=4),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["first"]),
        helper.make_node("Relu", ["first"], ["rectified"]),
        helper.make_node("Conv", ["rectified", "v", "c"], ["features"]),
        helper.make_node("Sigmoid", ["features"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["batch", 3, 10, 12])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 4, 6, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_the_file_the_document_and_the_proof(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.tflite"
    code, document = mlpack_json("convert", net, "--to", "tflite", "-o", out, "--rows", "200")
    assert code == 0
    assert document["output"] | {"sha256": ""} == {
        "path": str(out), "format": "tflite", "bytes": out.stat().st_size, "sha256": "",
    }  # fmt: skip
    assert document["parity"]["passed"] and {"batch 1", "batch 2", "batch 7"} <= set(document["parity"]["groups"])
    signature = signature_from_json(document["signature"])
    assert signature.input("image").shape == ("batch", 3, 10, 12)
    assert set(metadata_of(out)) >= {"mlpack.signature", "mlpack.lineage"}


def test_the_same_input_and_options_give_the_same_bytes(net: Path, tmp_path: Path) -> None:
    for name in ("a.tflite", "b.tflite"):
        assert mlpack("convert", net, "--to", "tflite", "-o", tmp_path / name, "--rows", "10").returncode == 0
    assert (tmp_path / "a.tflite").read_bytes() == (tmp_path / "b.tflite").read_bytes()


def test_channel_last_borders_are_the_same_model(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.tflite"
    line = ["convert", net, "--to", "tflite", "-o", out, "--layout", "nhwc", "--rows", "50"]
    code, document = mlpack_json(*line)
    assert code == 0
    assert document["signature"]["inputs"][0]["shape"] == ["batch", 10, 12, 3]
    assert document["signature"]["outputs"][0]["shape"] == ["batch", 6, 8, 4]
    assert "TRANSPOSE" not in mlpack_json("inspect", out)[1]["ops"]
    told = mlpack("inspect", out).stdout.splitlines()
    assert ["schema", "TFLite", "3"] in [line.split() for line in told]
    assert mlpack("check", net, out, "--rows", "50").returncode == 0


def test_a_size_that_is_fixed_stays_fixed(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.tflite"
    line = ["convert", net, "--to", "tflite", "-o", out, "--shape", "image=1x3x10x12", "--rows", "20"]
    code, document = mlpack_json(*line)
    assert code == 0
    assert document["signature"]["inputs"][0]["shape"] == [1, 3, 10, 12]


def test_check_names_the_first_layer_that_differs(net: Path, tmp_path: Path) -> None:
    out, moved = tmp_path / "net.tflite", tmp_path / "moved.tflite"
    assert mlpack("convert", net, "--to", "tflite", "-o", out, "--rows", "10").returncode == 0
    moved.write_bytes(_with_another_bias(out.read_bytes()))
    code, document = mlpack_json("check", net, moved, "--rows", "50")
    assert code == 3
    assert "--max-flips" in document["error"]["hint"] and "report" not in document["error"]["hint"]
    found = document["parity"]["first_divergence"]
    assert found["step"] == "features" and found["operator"] == "Conv"
    assert found["max_abs"] == pytest.approx(0.5, rel=1e-3)


def _with_another_bias(data: bytes) -> bytes:
    """Add 0.5 to the bias of the second convolution, the only constant of four numbers."""
    model = schema.ModelT.InitFromPackedBuf(data)
    for tensor in model.subgraphs[0].tensors:
        raw = model.buffers[tensor.buffer].data
        if raw is not None and tensor.type == schema.TensorType.FLOAT32 and len(raw) == 16:
            bias = np.frombuffer(bytes(raw), np.float32) + np.float32(0.5)
            model.buffers[tensor.buffer].data = np.frombuffer(bias.tobytes(), np.uint8)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_an_operator_that_cannot_be_expressed_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Multinomial", ["x"], ["y"], name="draw", sample_size=3)], "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.INT32, ["batch", 3])],
    )  # fmt: skip
    path, out = tmp_path / "draw.onnx", tmp_path / "draw.tflite"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    code, document = mlpack_json("convert", path, "--to", "tflite", "-o", out)
    assert code == 1
    assert document["error"]["kind"] == "unsupported"
    assert "Multinomial" in document["error"]["message"] and "'draw'" in document["error"]["message"]
    assert [file.name for file in tmp_path.iterdir()] == ["draw.onnx"]


def test_a_tflite_file_is_no_source(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.tflite"
    assert mlpack("convert", net, "--to", "tflite", "-o", out, "--rows", "10").returncode == 0
    done = mlpack("convert", out, "-o", tmp_path / "again.onnx")
    assert done.returncode == 1 and "is a TFLite file" in done.stderr


def test_a_layout_for_onnx_is_wrong_usage(net: Path, tmp_path: Path) -> None:
    done = mlpack("convert", net, "-o", tmp_path / "net2.onnx", "--layout", "nhwc")
    assert done.returncode == 2 and "--to tflite" in done.stderr


def test_a_damaged_tflite_file_is_refused_in_one_message(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.tflite"
    assert mlpack("convert", net, "--to", "tflite", "-o", out, "--rows", "10").returncode == 0
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(out.read_bytes()[:1500])
    done: subprocess.CompletedProcess[str] = mlpack("check", net, cut)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_a_batch_that_tflite_cannot_keep_open_is_one_and_said_to_be(tmp_path: Path) -> None:
    """Boxes are picked row by row: the file has batch 1, is proven there, and a note says why."""
    constants = {"k": np.array([3]), "iou": np.array([0.5], np.float32), "least": np.array([0.1], np.float32)}
    graph = helper.make_graph(
        [helper.make_node("NonMaxSuppression", ["boxes", "scores", *constants], ["picked"])], "g",
        [helper.make_tensor_value_info("boxes", onnx.TensorProto.FLOAT, ["batch", 10, 4]),
         helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["batch", 2, 10])],
        [helper.make_tensor_value_info("picked", onnx.TensorProto.INT64, ["n", 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    path, out = tmp_path / "boxes.onnx", tmp_path / "boxes.tflite"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    code, document = mlpack_json("convert", path, "--to", "tflite", "-o", out, "--rows", "20")
    assert code == 0
    assert [spec["shape"][0] for spec in document["signature"]["inputs"]] == [1, 1]
    assert any(text.startswith("batch is 1 in the TFLite file: NonMaxSuppression") for text in document["notes"])
    assert mlpack("check", path, out, "--rows", "5").returncode == 0


def test_one_format_is_not_written_under_the_name_of_the_other(net: Path, tmp_path: Path) -> None:
    done = mlpack("convert", net, "-o", tmp_path / "net.tflite")
    assert done.returncode == 2 and "no name for what --to onnx writes" in done.stderr
    done = mlpack("convert", net, "--to", "tflite", "-o", tmp_path / "net.ONNX")
    assert done.returncode == 2 and "no name for what --to tflite writes" in done.stderr
    assert not list(tmp_path.iterdir())
