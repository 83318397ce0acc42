"""`mlpack bench` on models whose inputs and outputs are unusual, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.cli.mlpack import mlpack, mlpack_json

QUICK = ("--seconds", "0.2", "--processes", "2")


def test_a_model_that_the_runtime_refuses_is_no_gate_that_says_no(tmp_path: Path) -> None:
    """Made numbers are no shape to reshape to: exit code 1, and the way to give better ones."""
    values = [
        helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4]),
        helper.make_tensor_value_info("s", onnx.TensorProto.INT64, [2]),
        helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["a", "b"]),
    ]
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "s"], ["y"])], "g", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "reshape.onnx")
    code, document = mlpack_json("bench", "reshape.onnx", *QUICK, cwd=tmp_path)
    assert code == 1 and document["error"]["kind"] == "unsupported" and "--data" in document["error"]["hint"]
    np.savez(tmp_path / "rows.npz", x=np.ones((3, 4), np.float32), s=np.array([2, 2]))
    code, document = mlpack_json("bench", "reshape.onnx", *QUICK, "--data", "rows.npz", cwd=tmp_path)
    assert code == 0 and not document["notes"]


def test_maps_are_measured_as_they_are_given_out(tmp_path: Path) -> None:
    """ZipMap's output has no array to bind: `run` is what its users call."""
    rows = helper.make_map_type_proto(
        onnx.TensorProto.STRING, helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [])
    )
    output = helper.make_value_info("y", helper.make_sequence_type_proto(rows))
    node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["a", "b"])
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 2])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph([node], "g", [value], [output])
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), tmp_path / "zipmap.onnx")
    code, document = mlpack_json("bench", "zipmap.onnx", *QUICK, cwd=tmp_path)
    assert code == 0 and document["results"][0]["io"] == "run" and document["results"][0]["latency_ns"]["p50"] > 0


def test_a_metric_of_no_model_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = mlpack("bench", "net.onnx", "--metric", "other.onnx:accuracy=0.9", cwd=tmp_path)
    assert done.returncode == 2 and "'other.onnx'" in done.stderr
    for value in ("nan", "inf", "1e999"):
        assert mlpack("bench", "net.onnx", "--metric", f"net.onnx:accuracy={value}", cwd=tmp_path).returncode == 2


def test_a_name_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a\udcff.onnx").write_bytes(b"whatever")
    code, document = mlpack_json("bench", "a\udcff.onnx", cwd=tmp_path)
    assert code == 1 and "rename" in document["error"]["hint"]
