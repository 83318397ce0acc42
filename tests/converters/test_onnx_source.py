"""A foreign ONNX model is brought up to date and cleaned, and computes what it computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from mlpack_edge.converters.onnx_from_onnx.convert import CleanModel, OnnxOptions, convert, load
from mlpack_edge.converters.sources.onnx import from_onnx
from mlpack_edge.converters.sources.source import SourceOptions
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import METADATA_KEY, Column, Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import loads, open_session
from mlpack_edge.runtimes.parity import RowsRefused
from tests.runtimes.hostile_onnx import with_external
from tests.runtimes.model_files import tiny_onnx

DATASETS = Path(onnxruntime.__file__).parent / "datasets"
OPERATORS = sorted((Path(onnx.__file__).parent / "backend/test/data").rglob("model.onnx"))
FLOAT = TensorProto.FLOAT


def value(name: str, shape: list[Any] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto],
    opset: int = 21, ir: int = 10, initializers: tuple[TensorProto, ...] = (), **domains: int,
) -> onnx.ModelProto:  # fmt: skip
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(name.replace("_", "."), version) for name, version in domains.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir)


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def assert_equal(source: onnx.ModelProto, options: OnnxOptions | None = None, **feeds: Any) -> CleanModel:
    """Convert, run both on `feeds` in ONNX Runtime, and compare bit for bit, output by output in order."""
    before = open_session(source.SerializeToString()).run(None, feeds)
    made = convert(copy_of(source), options)
    onnx.checker.check_model(made.model, full_check=True)
    after = open_session(made.model.SerializeToString()).run(None, feeds)
    for old, new in zip(before, after, strict=True):
        plain = [list(row.values()) for row in old] if isinstance(old, list) else old
        np.testing.assert_array_equal(np.asarray(plain, new.dtype), new)
    return made


def test_a_file_that_lacks_memory_does_not_refuse_the_rows(tmp_path: Path) -> None:
    """With a higher limit it takes them: MemoryError, of which the worker makes the error that names --memory-limit."""
    wide = model_of(
        [helper.make_node("Expand", ["x", "sizes"], ["y"])], [value("x", ["batch", 1]), value("sizes", [2], TensorProto.INT64)],
        [value("y", None)],
    )  # fmt: skip
    path = tmp_path / "wide.onnx"
    path.write_bytes(wide.SerializeToString())
    source = from_onnx(str(path), SourceOptions())
    x = np.ones((2, 1), np.float32)
    assert source.run({"x": x, "sizes": np.array([2, 3])})["y"].shape == (2, 3)
    with pytest.raises(MemoryError):
        source.run({"x": x, "sizes": np.array([2, 1 << 48])})
    with pytest.raises(RowsRefused):
        source.run({"x": x, "sizes": np.array([3, 3])})


def feeds_of(path: Path) -> dict[str, Any]:
    """The inputs that come with an operator test of onnx."""
    model = onnx.load(path)
    stored = {tensor.name for tensor in model.graph.initializer}
    names = [item.name for item in model.graph.input if item.name not in stored]
    found = {}
    for index, name in enumerate(names):
        tensor = onnx.load_tensor(path.parent / "test_data_set_0" / f"input_{index}.pb")
        found[name] = onnx.numpy_helper.to_array(tensor)
    return found


@pytest.mark.parametrize("opset", [None, 21, 26])
def test_models_of_other_people_stay_the_same(opset: int | None) -> None:
    """All that come with onnx and that ONNX Runtime runs: exported by PyTorch in 2017 and 2018, opset 6 to 9."""
    done = 0
    for path in OPERATORS:
        source = load(path)
        if loads(source.SerializeToString()) is not None:
            continue
        try:
            convert(copy_of(source), OnnxOptions(opset))
        except Unsupported:
            continue
        made = assert_equal(source, OnnxOptions(opset), **feeds_of(path))
        assert opset in (None, made.model.opset_import[0].version)
        done += 1
    assert done > 40


def test_zipmap_becomes_label_and_probabilities() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    made = assert_equal(load(DATASETS / "logreg_iris.onnx"), float_input=rows)
    assert made.outputs == {"label": "label", "probabilities": "probabilities"}
    assert [spec.role for spec in made.signature.outputs] == ["label", "probabilities"]
    assert made.signature.classes == (0, 1, 2)
    assert made.signature.outputs[1].dtype == "float32"


@pytest.mark.parametrize("kind", ["logistic", "forest", "names"])
def test_what_skl2onnx_writes_gives_label_and_probabilities(kind: str) -> None:
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    target: Any = (rows[:, 0] > 0).astype(int)
    if kind == "names":
        target = np.where(rows[:, 0] > 0, "ja", "nein")
    model = RandomForestClassifier(5, random_state=0) if kind == "forest" else LogisticRegression()
    source = to_onnx(model.fit(rows, target), rows[:1], target_opset=18)
    made = assert_equal(source, OnnxOptions(opset=21), X=rows)
    assert list(made.outputs.values()) == ["label", "probabilities"]
    names = [(spec.name, spec.role, spec.shape) for spec in made.signature.outputs]
    assert names == [("label", "label", ("batch",)), ("probabilities", "probabilities", ("batch", 2))]
    assert made.signature.classes == (("ja", "nein") if kind == "names" else (0, 1))
    assert not any(node.op_type == "ZipMap" for node in made.model.graph.node)


def test_dead_nodes_unused_tensors_and_stale_shapes_are_dropped() -> None:
    source = model_of(
        [helper.make_node("Abs", ["x"], ["dead"]), helper.make_node("Neg", ["dead"], ["deader"]),
         helper.make_node("Add", ["x", "w"], ["y"])],
        [value("x", ["n", 2])], [value("y", ["n", 2])],
        initializers=tuple(helper.make_tensor(name, FLOAT, [2], [1.0, 2.0]) for name in ("w", "unused")),
    )  # fmt: skip
    source.graph.value_info.append(value("dead", [7, 7]))
    made = assert_equal(source, x=np.ones((3, 2), np.float32))
    assert [node.op_type for node in made.model.graph.node] == ["Add"]
    assert [tensor.name for tensor in made.model.graph.initializer] == ["w"]
    assert not made.model.graph.value_info
    assert made.notes == ("dropped 2 dead nodes and 1 unused tensors",)


def test_what_a_sub_graph_reads_from_outside_is_not_dead() -> None:
    def body(op: str) -> onnx.GraphProto:
        nodes = [helper.make_node(op, ["inner"], ["z"]), helper.make_node("Exp", ["inner"], ["dead"])]
        return helper.make_graph(nodes, "b", [], [value("z", None)])

    source = model_of(
        [helper.make_node("Add", ["x", "w"], ["inner"]),
         helper.make_node("If", ["yes"], ["y"], then_branch=body("Abs"), else_branch=body("Neg"))],
        [value("x", ["n"]), value("yes", [], TensorProto.BOOL)], [value("y", ["n"])],
        initializers=(helper.make_tensor("w", FLOAT, [1], [-5.0]),),
    )  # fmt: skip
    made = assert_equal(source, x=np.ones(3, np.float32), yes=np.array(True))
    assert [node.op_type for node in made.model.graph.node] == ["Add", "If"]
    assert [node.op_type for node in made.model.graph.node[1].attribute[0].g.node] == ["Neg"]


def test_initializers_leave_the_inputs() -> None:
    source = model_of(
        [helper.make_node("Add", ["x", "w"], ["y"])], [value("x", [2]), value("w", [2])], [value("y", [2])],
        opset=9, ir=3, initializers=(helper.make_tensor("w", FLOAT, [2], [1.0, 2.0]),),
    )  # fmt: skip
    made = assert_equal(source, x=np.ones(2, np.float32))
    assert [item.name for item in made.model.graph.input] == ["x"]
    assert made.model.ir_version >= 4


def test_functions_nobody_calls_are_dropped() -> None:
    source = tiny_onnx()
    imports = [helper.make_opsetid("", 21)]
    for name in ("used", "idle"):
        body = [helper.make_node("Relu", ["a"], ["b"])]
        source.functions.append(helper.make_function("own", name, ["a"], ["b"], body, imports))
    source.opset_import.append(helper.make_opsetid("own", 1))
    source.graph.node[0].CopyFrom(helper.make_node("used", ["x"], ["y"], domain="own"))
    rows = np.array([[-1, 2]], np.float32)
    assert [item.name for item in assert_equal(source, x=rows).model.functions] == ["used"]
    newer = assert_equal(source, OnnxOptions(opset=26), x=rows)
    assert not newer.model.functions, "functions are written out before the opset changes"


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([9, 11, 12]), st.sampled_from([13, 17, 21, 24, 26]), st.integers(-1, 2))
def test_softmax_keeps_its_meaning_across_the_opset_that_changed_it(old: int, new: int, axis: int) -> None:
    """Softmax before opset 13 flattens, since then it does not: a changed number alone would be silently wrong."""
    if old < 11:
        axis = abs(axis)
    source = model_of([helper.make_node("Softmax", ["x"], ["y"], axis=axis)], [value("x", [2, 3, 4])],
                      [value("y", [2, 3, 4])], opset=old, ir=6)  # fmt: skip
    rows = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    before = open_session(source.SerializeToString()).run(None, {"x": rows})[0]
    made = convert(source, OnnxOptions(opset=new)).model
    after = open_session(made.SerializeToString()).run(None, {"x": rows})[0]
    np.testing.assert_allclose(after, before, rtol=1e-6)


def test_an_opset_too_new_for_onnx_runtime_is_lowered() -> None:
    source = tiny_onnx()
    source.opset_import[0].version = onnx.defs.onnx_opset_version()
    source.ir_version = onnx.IR_VERSION
    made = convert(source)
    assert (made.model.opset_import[0].version, made.model.ir_version) == (26, 13)
    assert made.notes == ("opset 28 became 26; no operator had to change",)
    session = open_session(made.model.SerializeToString())
    assert session.run(None, {"x": np.array([[-1, 1]], np.float32)})[0].tolist() == [[0, 1]]


def test_a_way_back_that_does_not_exist_is_refused_by_name() -> None:
    source = model_of([helper.make_node("Gelu", ["x"], ["y"])], [value("x", [2])], [value("y", [2])], opset=20)
    with pytest.raises(Unsupported, match="opset 20 cannot become 17") as caught:
        convert(source, OnnxOptions(opset=17))
    assert "Gelu" in caught.value.why
    with pytest.raises(BadInput, match="up to 26"):
        convert(tiny_onnx(), OnnxOptions(opset=27))


def test_two_equal_imports_and_the_long_domain_name_become_one() -> None:
    source = tiny_onnx()
    source.opset_import[0].domain = "ai.onnx"
    source.opset_import.extend([helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)])
    source.graph.node[0].domain = "ai.onnx"
    made = convert(source).model
    assert [(item.domain, item.version) for item in made.opset_import] == [("", 21)]
    assert made.graph.node[0].domain == ""


def test_external_data_is_part_of_the_result(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.array([1, 2], np.float32).tobytes())
    made = convert(load(with_external(tmp_path, "w.bin")))
    (tmp_path / "w.bin").unlink()
    rows = np.zeros((1, 2), np.float32)
    assert open_session(made.model.SerializeToString()).run(None, {"x": rows})[0].tolist() == [[1, 2]]


def test_weights_above_two_gigabytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = with_external(tmp_path, "w.bin", "0", None)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].dims[:] = [600_000_000]
    path.write_bytes(model.SerializeToString())
    with (tmp_path / "w.bin").open("wb") as stream:
        stream.truncate(2_400_000_000)  # a hole: no disk is used
    with pytest.raises(Unsupported, match="a single ONNX file holds"):
        load(path)


def test_shapes_are_named_and_outputs_follow() -> None:
    weights = helper.make_tensor("w", FLOAT, [3, 2], np.ones(6))
    source = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", [1, 3])], [value("y", [1, 2])],
                      initializers=(weights,))  # fmt: skip
    made = convert(source, OnnxOptions(shapes={"x": ("rows", 3)}))
    assert made.signature == Signature(
        (TensorSpec("x", "float32", ("rows", 3)),), (TensorSpec("y", "float32", ("rows", 2)),)
    )
    session = open_session(made.model.SerializeToString())
    assert session.run(None, {"x": np.ones((5, 3), np.float32)})[0].shape == (5, 2)
    fixed = convert(copy_of(made.model), OnnxOptions(shapes={"x": (4, 3)}))
    assert fixed.signature.outputs[0].shape == (4, 2)


def test_large_weights_are_checked_and_inferred_without_copies() -> None:
    """Above 8,192 elements the checker sees no data and inference only the shape; the result still has the weights."""
    weights = onnx.numpy_helper.from_array(np.arange(30_000, dtype=np.float32).reshape(3, 10_000), "w")
    source = model_of([helper.make_node("MatMul", ["x", "w"], ["y"])], [value("x", [1, 3])], [value("y", None)],
                      initializers=(weights,))  # fmt: skip
    made = convert(source, OnnxOptions(shapes={"x": ("rows", 3)}))
    assert made.signature.outputs[0].shape == ("rows", 10_000)
    assert made.model.graph.initializer[0] == weights


def test_a_size_that_cannot_be_inferred_and_was_replaced_is_not_kept() -> None:
    """An operator of another domain tells nothing about its output: the old batch of 7 must not stay."""
    source = model_of([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], [value("x", [7, 3])],
                      [value("y", [7, 3])], com_microsoft=1)  # fmt: skip
    made = convert(source, OnnxOptions(shapes={"x": ("rows", 3)}))
    assert made.signature.outputs[0].shape == ("batch", 3)


def test_wrong_shapes_are_refused_with_what_is_there() -> None:
    with pytest.raises(BadInput, match="no input 'z'") as caught:
        convert(tiny_onnx(), OnnxOptions(shapes={"z": (1, 2)}))
    assert "'x'" in caught.value.hint
    with pytest.raises(BadInput, match="has 2 dimensions, --shape gives 3") as caught:
        convert(tiny_onnx(), OnnxOptions(shapes={"x": (1, 2, 3)}))
    assert "batchx2" in caught.value.hint


def test_an_output_of_unknown_rank_is_inferred() -> None:
    source = tiny_onnx()
    source.graph.output[0].type.tensor_type.ClearField("shape")
    assert convert(source).signature.outputs[0].shape == ("batch", 2)


def test_a_signature_that_travels_in_the_file_is_kept_while_it_fits() -> None:
    columns = (Column("width", "numeric", "x", 0), Column("height", "numeric", "x", 1))
    written = Signature(
        (TensorSpec("x", "float32", ("n", 2)),), (TensorSpec("y", "float32", ("n", 2), "value"),), columns
    )
    source = tiny_onnx()
    helper.set_model_props(source, {METADATA_KEY: written.dumps()})
    assert convert(copy_of(source)).signature == written
    shaped = convert(copy_of(source), OnnxOptions(shapes={"x": (4, 2)})).signature
    assert (shaped.columns, shaped.inputs[0].shape, shaped.outputs[0].role) == (columns, (4, 2), "value")
    source.graph.output[0].name = source.graph.node[0].output[0] = "other"
    assert convert(source).signature.outputs[0] == TensorSpec("other", "float32", ("batch", 2))


def test_the_same_input_gives_the_same_bytes() -> None:
    source = load(DATASETS / "logreg_iris.onnx")
    first, second = (convert(copy_of(source), OnnxOptions(opset=21)).model.SerializeToString() for _ in range(2))
    assert first == second
