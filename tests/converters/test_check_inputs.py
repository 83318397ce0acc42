"""What `check` says of two files that do not take the same inputs, before either is run."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import helper

from mlpack_edge.converters.jobs import check
from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature, TensorSpec

ELEMENTS = {
    "float32": onnx.TensorProto.FLOAT, "float64": onnx.TensorProto.DOUBLE, "int64": onnx.TensorProto.INT64,
}  # fmt: skip


def _file(folder: Path, name: str, dtype: str, kind: str) -> str:
    """A model that takes `name` and gives it cast to float32."""
    border = helper.make_tensor_value_info(name, ELEMENTS[dtype], ["batch", 3])
    result = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 3])
    nodes = [helper.make_node("Cast", [name], ["c"], to=1), helper.make_node("Relu", ["c"], ["y"])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [border], [result]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    path = folder / f"{name}-{dtype}.{kind}"
    if kind == "onnx":
        onnx.save(model, path)
    else:
        signature = Signature((TensorSpec(name, dtype, ("batch", 3)),), (TensorSpec("y", "float32", ("batch", 3)),))
        path.write_bytes(tflite_from_onnx(model, signature).data)
    return str(path)


def _checked(first: str, second: str) -> bool:
    result = check({"reference": first, "candidate": second, "rows": 20}, lambda stage: None)
    return bool(result["parity"]["passed"])


@pytest.mark.parametrize("kinds", [("onnx", "onnx"), ("tflite", "tflite"), ("onnx", "tflite"), ("tflite", "onnx")])
def test_other_names_are_told(tmp_path: Path, kinds: tuple[str, str]) -> None:
    with pytest.raises(BadInput, match="take different inputs: a against b"):
        _checked(_file(tmp_path, "a", "float32", kinds[0]), _file(tmp_path, "b", "float32", kinds[1]))


@pytest.mark.parametrize("kinds", [("onnx", "onnx"), ("onnx", "tflite"), ("tflite", "onnx")])
def test_numbers_of_another_kind_are_told(tmp_path: Path, kinds: tuple[str, str]) -> None:
    with pytest.raises(BadInput, match=r"input 'a' is int64 in .* and float32 in "):
        _checked(_file(tmp_path, "a", "int64", kinds[0]), _file(tmp_path, "a", "float32", kinds[1]))


def test_two_onnx_files_have_to_take_floats_of_one_width(tmp_path: Path) -> None:
    """ONNX Runtime casts no input."""
    with pytest.raises(BadInput, match=r"input 'a' is float64 in .* and float32 in "):
        _checked(_file(tmp_path, "a", "float64", "onnx"), _file(tmp_path, "a", "float32", "onnx"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tflite_file_takes_the_floats_of_its_source(tmp_path: Path, dtype: str) -> None:
    assert _checked(_file(tmp_path, "a", dtype, "onnx"), _file(tmp_path, "a", dtype, "tflite"))
