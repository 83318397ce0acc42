"""`prepare`: any float model becomes one that every scheme can start from, and computes the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.shape_inference import quant_pre_process

from mlpack_edge.converters.quantization.prepared import prepare, upgraded
from mlpack_edge.converters.quantization.prepared.prepare import _tried
from mlpack_edge.converters.quantization.prepared.same import Original
from mlpack_edge.core.errors import CheckFailed
from tests.converters.quantization.prepared.graphs import Graph, answers, built, kinds

X = np.random.default_rng(7).normal(size=(3, 8)).astype(np.float32)


def _opset(model: onnx.ModelProto) -> int:
    return next(int(item.version) for item in model.opset_import if item.domain == "")


def _mlp(opset: int = 17) -> onnx.ModelProto:
    graph = Graph()
    hidden = graph.op("Relu", graph.dense("x", 8, 64))
    return graph.model({"x": ["batch", 8]}, graph.dense(hidden, 64, 3), opset=opset)


def test_an_old_opset_is_brought_to_the_first_with_a_scale_a_channel() -> None:
    graph = Graph()
    wide = graph.op("Unsqueeze", graph.product("x", 8, 64), axes=[1])  # axes became an input in opset 13
    model = graph.model({"x": ["batch", 8]}, graph.op("Squeeze", wide, axes=[1]), opset=11)
    prepared = prepare(built(model))
    assert _opset(prepared.model) == 13
    assert prepared.notes == ()
    np.testing.assert_array_equal(answers(prepared.model, x=X)[0], answers(model, x=X)[0])


def test_a_newer_opset_stays_and_upgraded_goes_to_the_one_asked_for() -> None:
    prepared = prepare(built(_mlp(17)))
    assert _opset(prepared.model) == 17
    newer = upgraded(prepared, 21)
    assert _opset(newer.model) == 21
    assert [node.name for node in newer.model.graph.node] == [node.name for node in prepared.model.graph.node]
    assert upgraded(newer, 21) is newer


def test_every_node_has_a_name_of_its_own_and_keeps_one_that_is() -> None:
    model = _mlp()
    for node, name in zip(model.graph.node, ("first", "", ""), strict=True):
        node.name = name
    names = [node.name for node in prepare(built(model)).model.graph.node]
    assert names == ["first", "Relu_1", "Gemm_2"]


def test_stale_shapes_of_an_exporter_are_replaced_by_inferred_ones() -> None:
    model = _mlp()
    inner = model.graph.node[0].output[0]
    model.graph.value_info.append(helper.make_tensor_value_info(inner, TensorProto.FLOAT, [1, 999]))
    found = {value.name: value for value in prepare(built(model)).model.graph.value_info}
    assert [dim.dim_value for dim in found[inner].type.tensor_type.shape.dim] == [0, 64]


def test_the_model_that_was_given_is_left_as_it_was_and_the_bytes_are_always_the_same() -> None:
    model = _mlp(11)
    before = model.SerializeToString()
    first, second = prepare(built(model)), prepare(built(model))
    assert model.SerializeToString() == before
    assert first.model.SerializeToString() == second.model.SerializeToString()


def test_layers_are_the_nodes_with_large_constants_and_their_bytes() -> None:
    prepared = prepare(built(_mlp()))
    assert [(layer.op_type, layer.weight_bytes) for layer in prepared.layers] == [("Gemm", 8 * 64 * 4)]


@pytest.mark.long
def test_a_net_on_which_the_usual_preprocessing_fails_is_prepared(tmp_path: Path) -> None:
    """Its symbolic inference does not know the axes of Pad, of opset 18, which recurrent nets of any batch have."""
    graph = Graph()
    ends, axes = graph.const(np.array([0, 1])), graph.const(np.array([1]))
    padded = graph.op("Pad", "x", ends, "", axes)
    model = graph.model({"x": ["batch", 7]}, graph.product(padded, 8, 64), opset=18)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(AssertionError):
        quant_pre_process(str(tmp_path / "net.onnx"), str(tmp_path / "made.onnx"))
    prepared = prepare(built(model))
    assert prepared.notes == ()
    assert [layer.op_type for layer in prepared.layers] == ["MatMul"]


@pytest.mark.parametrize("name", ["shufflenet", "squeezenet", pytest.param("densenet121", marks=pytest.mark.long)])
def test_nets_of_the_onnx_package_are_prepared_without_a_note(name: str) -> None:
    """Of opset 8 and 9, IR 3, with weights that are made by ConstantOfShape: these stay small."""
    path = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx"
    from mlpack_edge.converters.onnx_from_onnx.convert import convert, load

    clean = convert(load(path))
    prepared = prepare(built(clean.model))
    assert prepared.notes == ()
    assert _opset(prepared.model) == 13
    assert prepared.model.ByteSize() < 2 * path.stat().st_size


def test_operators_of_com_microsoft_and_functions_of_the_model_are_taken() -> None:
    graph = Graph()
    hidden = graph.op("FusedMatMul", "x", graph.normal(8, 64), domain="com.microsoft")
    graph.op("Twice", hidden, out="y", domain="local")
    model = graph.model({"x": ["batch", 8]}, "y", opset=17)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64]))
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    model.functions.append(helper.make_function("local", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    prepared = prepare(built(model))
    assert kinds(prepared.model) == {"FusedMatMul": 1, "Add": 1}
    assert prepared.notes == ()
    np.testing.assert_array_equal(answers(prepared.model, x=X)[0], answers(model, x=X)[0])


def test_a_step_that_changes_an_answer_is_left_out_and_noted() -> None:
    model = _mlp()
    notes: list[str] = []
    original = Original(model, built(model).signature)

    def wrong(copy: onnx.ModelProto) -> onnx.ModelProto:
        tensor = copy.graph.initializer[0]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.001), tensor.name))
        return copy

    assert _tried(model, ("a wrong step", wrong), original, notes) is model
    assert len(notes) == 1
    assert notes[0].startswith("a wrong step was left out: t2: off by ")


def test_a_model_of_whose_inputs_no_rows_fit_is_prepared_with_a_note() -> None:
    """No batch that is tried has a multiple of 77 numbers."""
    graph = Graph()
    graph.op("Reshape", graph.product("x", 8, 64), graph.const(np.array([-1, 77])), out="y")
    prepared = prepare(built(graph.model({"x": ["batch", 8]}, "y", opset=12)))
    assert _opset(prepared.model) == 13
    assert len(prepared.notes) == 1
    assert prepared.notes[0].startswith("no rows could be made")


def test_the_hash_seed_of_python_changes_no_byte(tmp_path: Path) -> None:
    graph = Graph()
    hidden = graph.op("Mul", graph.dense("x", 8, 64), graph.normal(64))
    shared = graph.op("Add", graph.product(hidden, 64, 64), graph.const(np.ones(64)))
    onnx.save(graph.model({"x": ["batch", 8]}, graph.op("Add", shared, graph.const(np.ones(64)))), tmp_path / "m.onnx")
    code = (
        "import hashlib, onnx, sys\n"
        "from mlpack_edge.converters.quantization.prepared import prepare\n"
        "from mlpack_edge.converters.quantization.stored import dynamic_model, weights_model\n"
        "from mlpack_edge.converters.quantization.values import Recipe\n"
        "from mlpack_edge.converters.built import BuiltModel\n"
        "from mlpack_edge.runtimes.onnx_files.signature import derived_signature\n"
        "m = onnx.load(sys.argv[1])\n"
        "p = prepare(BuiltModel(m, derived_signature(m), {}))\n"
        "made = [p.model, weights_model(p, Recipe('weights', weights='int4')), dynamic_model(p, Recipe('dynamic'))]\n"
        "print([hashlib.sha256(x.SerializeToString()).hexdigest() for x in made])\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "m.onnx")], env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(printed) == 1


def test_a_model_that_onnx_runtime_does_not_open_is_refused() -> None:
    graph = Graph()
    model = graph.model({"x": ["batch", 8]}, graph.product("x", 8, 64))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((7, 64), np.float32), "c0"))
    with pytest.raises(CheckFailed) as caught:
        prepare(built(model))
    assert "ONNX Runtime does not open the model" in caught.value.message
