"""`mlpack convert --to tflite` and `mlpack check` of models that ONNX Runtime quantized."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.cli.mlpack import mlpack_json
from tests.converters.tflite_from_onnx.quantized_nets import quantized


@pytest.mark.parametrize(
    ("net", "way"),
    [
        ("cnn", "qdq s8s8 per channel"), ("mlp", "qoperator u8s8"), ("transformer", "qoperator s8s8"),
    ],
)  # fmt: skip
def test_a_quantized_net_is_converted_and_proven(net: str, way: str, tmp_path: Path) -> None:
    source, out = tmp_path / "q.onnx", tmp_path / "q.tflite"
    onnx.save(quantized(net, way), source)
    code, document = mlpack_json("convert", source, "--to", "tflite", "-o", out, "--rows", "200")
    assert code == 0, document
    assert document["parity"]["passed"]
    assert {"batch 2", "batch 7"} <= set(document["parity"]["groups"])
    assert mlpack_json("check", source, out, "--rows", "200")[0] == 0
    _, facts = mlpack_json("inspect", out)
    assert facts["quantization"]["weights"]["int8"] > 0


def test_a_net_between_codes_is_proven_on_codes(tmp_path: Path) -> None:
    """uint8 in, uint8 out, as the source: the differences are counted in codes."""
    model = quantized("mlp", "qdq u8u8")
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "x")
    last = next(node for node in model.graph.node if "y" in node.output)
    renamed = {first.output[0]: "x", last.input[0]: "y"}
    model.graph.node.remove(first)
    model.graph.node.remove(last)
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    del model.graph.value_info[:]
    source, out = tmp_path / "q.onnx", tmp_path / "q.tflite"
    onnx.save(model, source)
    code, document = mlpack_json("convert", source, "--to", "tflite", "-o", out, "--rows", "200")
    assert code == 0, document
    assert [spec["dtype"] for spec in document["signature"]["inputs"]] == ["uint8"]
    assert document["parity"]["outputs"][0]["max_abs"] <= 2


def test_weights_that_were_changed_are_found(tmp_path: Path) -> None:
    """A tolerance of steps lets no other model through: one layer of shuffled weights."""
    model = quantized("cnn", "qdq s8s8 per channel")
    source, other, out = tmp_path / "q.onnx", tmp_path / "other.onnx", tmp_path / "q.tflite"
    onnx.save(model, source)
    assert mlpack_json("convert", source, "--to", "tflite", "-o", out, "--rows", "200")[0] == 0
    filters = next(init for init in model.graph.initializer if numpy_helper.to_array(init).shape[1:] == (8, 3, 3))
    changed = numpy_helper.to_array(filters)[:, ::-1]
    filters.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(changed), filters.name))
    onnx.save(model, other)
    code, document = mlpack_json("check", other, out, "--rows", "200")
    assert code != 0, document
