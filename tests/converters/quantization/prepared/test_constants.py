"""Constants are initializers: of Constant nodes, of what they give alone, of sub-graphs; each stored once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.converters.quantization.prepared import prepare
from tests.converters.quantization.prepared.graphs import Graph, answers, built, kinds

X = np.random.default_rng(3).normal(size=(3, 8)).astype(np.float32)


def _constant(output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [output], **attributes)


def test_constant_nodes_of_every_kind_become_initializers() -> None:
    graph = Graph()
    graph.nodes += [
        _constant("whole", value=numpy_helper.from_array(np.ones((8, 4), np.float32))),
        _constant("one", value_float=2.5),
        _constant("row", value_floats=[1.0, 2.0, 3.0, 4.0]),
        _constant("axes", value_ints=[1]),
    ]
    product = graph.op("Mul", graph.op("Mul", graph.op("MatMul", "x", "whole"), "one"), "row")
    model = graph.model({"x": ["batch", 8]}, graph.op("ReduceSum", graph.op("Abs", product), "axes"))
    prepared = prepare(built(model))
    assert kinds(prepared.model) == {"MatMul": 1, "Abs": 1, "ReduceSum": 1}
    np.testing.assert_allclose(answers(prepared.model, x=X)[0], answers(model, x=X)[0], rtol=1e-6)


def test_what_depends_on_constants_alone_is_computed_where_that_makes_the_file_no_larger() -> None:
    graph = Graph()
    turned = graph.op("Transpose", graph.normal(32, 8), perm=[1, 0])
    hidden = graph.op("MatMul", "x", turned)
    large = graph.op("Expand", graph.const(np.ones((1, 1), np.float32)), graph.const(np.array([4096, 32])))
    graph.op("MatMul", hidden, graph.op("Transpose", large), out="y")
    model = graph.model({"x": ["batch", 8]}, "y")
    prepared = prepare(built(model))
    assert kinds(prepared.model) == {"MatMul": 2, "Expand": 1, "Transpose": 1}
    assert prepared.model.ByteSize() < model.ByteSize() + 500
    np.testing.assert_allclose(answers(prepared.model, x=X)[0], answers(model, x=X)[0], rtol=1e-6)


def test_random_numbers_are_not_taken_for_constants() -> None:
    graph = Graph()
    noise = graph.op("RandomNormalLike", graph.const(np.zeros(8, np.float32)), dtype=1)
    model = graph.model({"x": ["batch", 8]}, graph.op("Add", "x", graph.op("Mul", noise, graph.const(0.0))))
    assert kinds(prepare(built(model)).model)["RandomNormalLike"] == 1


def test_equal_constants_are_stored_once() -> None:
    graph = Graph()
    weights = graph.random.normal(size=(8, 8)).astype(np.float32)
    x = "x"
    for _ in range(3):
        x = graph.op("MatMul", x, graph.const(weights))
    prepared = prepare(built(graph.model({"x": ["batch", 8]}, x)))
    assert len(prepared.model.graph.initializer) == 1


def test_identities_and_dropouts_go_but_for_those_that_name_an_output() -> None:
    graph = Graph()
    inner = graph.op("Dropout", graph.op("Identity", graph.product(graph.op("Identity", "x"), 8, 8)))
    graph.op("Identity", "x", out="same")
    model = graph.model({"x": ["batch", 8]}, graph.op("Relu", inner), "same")
    assert kinds(prepare(built(model)).model) == {"MatMul": 1, "Relu": 1, "Identity": 1}


def _branch(name: str, numbers: np.ndarray, as_node: bool) -> onnx.GraphProto:
    """x times a constant that is called `w` in both branches."""
    tensor = numpy_helper.from_array(numbers, "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], [name])]
    if as_node:
        nodes.insert(0, _constant("w", value=tensor))
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph(nodes, name, [], [output], [] if as_node else [tensor])


def test_large_constants_of_branches_move_to_the_main_graph_though_they_share_a_name() -> None:
    graph = Graph()
    first, second = (graph.random.normal(size=(8, 200)).astype(np.float32) for _ in range(2))
    graph.op(
        "If", "flag", out="y", then_branch=_branch("a", first, False), else_branch=_branch("b", second, True)
    )  # fmt: skip
    model = graph.model({"x": ["batch", 8], "flag": []}, "y", dtypes={"flag": TensorProto.BOOL})
    prepared = prepare(built(model))
    assert prepared.notes == ()
    assert sorted(tensor.name for tensor in prepared.model.graph.initializer) == ["w", "w_2"]
    assert [(layer.op_type, layer.weight_bytes) for layer in prepared.layers] == [("If", 2 * 4 * 8 * 200)]
    for flag in (True, False):
        feeds = {"x": X, "flag": np.array(flag)}
        np.testing.assert_array_equal(answers(prepared.model, **feeds)[0], answers(model, **feeds)[0])


def test_an_initializer_that_callers_may_replace_is_no_constant() -> None:
    """It is an input of the graph as well: what is folded from its default would answer for no other value."""
    graph = Graph()
    scale = graph.const(np.full(4, 2.0), "scale")
    weights = graph.op("Mul", graph.normal(8, 4), scale)
    model = graph.model({"x": ["batch", 8], "scale": [4]}, graph.op("Mul", graph.op("MatMul", "x", weights), scale))
    prepared = prepare(built(model))
    for given in ({}, {"scale": np.array([5, -1, 0.5, 3], np.float32)}):
        np.testing.assert_allclose(
            answers(prepared.model, x=X, **given)[0], answers(model, x=X, **given)[0], rtol=1e-5, atol=1e-6
        )
    assert kinds(prepared.model)["Mul"] == 2
