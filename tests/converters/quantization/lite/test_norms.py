"""Normalizations taken apart compute what they did."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.converters.quantization.lite_norms import steps_of, with_norms_apart
from mlpack_edge.converters.quantization.prepared import Prepared
from tests.converters.quantization.static.nets import Array, Nodes, first, run


def _apart(model: onnx.ModelProto) -> onnx.ModelProto:
    made = with_norms_apart(Prepared(model, (), ())).model
    onnx.checker.check_model(made, full_check=True)
    return made


def _kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@settings(max_examples=25, deadline=None)
@given(
    axis=st.sampled_from([-2, -1, 1, 2]),
    weights=st.sampled_from([1, 2]),
    opset=st.sampled_from([17, 18, 21]),
    epsilon=st.sampled_from([1e-12, 1e-5, 0.1]),
    size=st.sampled_from([1e-3, 1.0, 100.0]),
)
def test_layer_normalization_is_its_steps(axis: int, weights: int, opset: int, epsilon: float, size: float) -> None:
    nodes = Nodes()
    shape = (6,) if axis in (-1, 2) else (5, 6)
    y = nodes.add(
        "LayerNormalization", "x", *(nodes.normal(*shape) for _ in range(weights)), axis=axis, epsilon=epsilon
    )
    model = nodes.net(["batch", 5, 6], y, opset=opset).model
    made = _apart(model)
    assert not _kinds(made)["LayerNormalization"] and made.graph.node[-1].name == model.graph.node[0].name
    x = (np.random.default_rng(4).normal(size=(3, 5, 6)) * size).astype(np.float32)
    np.testing.assert_allclose(first(made, x), first(model, x), rtol=2e-4, atol=2e-5)


def test_what_is_written_out_divides_by_no_root() -> None:
    """A root that is read elsewhere as well stays for that reader."""
    nodes = Nodes()
    squares = nodes.add("ReduceMean", nodes.add("Pow", "x", nodes.constant([2.0])), axes=[-1])
    root = nodes.add("Sqrt", nodes.add("Add", squares, nodes.constant(1e-5)))
    outputs = [
        nodes.add("Div", "x", root),
        nodes.add("Mul", "x", nodes.add("Div", nodes.constant(1.0), root)),
        nodes.add("Mul", "x", nodes.add("Reciprocal", root)),
    ]
    both = nodes.net(["batch", 6], *outputs, root, opset=13).model
    alone = nodes.net(["batch", 6], *outputs, opset=13).model
    x = np.random.default_rng(4).normal(size=(3, 6)).astype(np.float32)
    for model in (both, alone):
        made, expected = run(_apart(model), x), run(model, x)
        for name in expected:
            np.testing.assert_allclose(made[name], expected[name], rtol=1e-5, atol=1e-6)
    assert _kinds(_apart(alone)) == {"Mul": 4, "ReduceMean": 1, "Add": 1, "Pow": 3}
    assert _kinds(_apart(both))["Sqrt"] == 1


@pytest.mark.parametrize(
    ("divisor", "kind"), [(2.0, "Mul"), ([1.0, -3.0, 0.5, 7.0, 1e30, 1e-30], "Mul"), (0.0, "Div"), (1e-45, "Div")]
)
def test_quotients_by_constants_are_products(divisor: float | list[float], kind: str) -> None:
    """But by 0, or by what has no finite inverse."""
    nodes = Nodes()
    model = nodes.net(["batch", 6], nodes.add("Div", "x", nodes.constant(divisor))).model
    x = np.random.default_rng(4).normal(size=(3, 6)).astype(np.float32)
    assert _kinds(_apart(model)) == {kind: 1}
    np.testing.assert_allclose(first(_apart(model), x), first(model, x), rtol=1e-6)


def test_statistics_that_are_asked_for_keep_the_operator() -> None:
    node = helper.make_node("LayerNormalization", ["x", "w"], ["y", "mean"], name="norm")
    nodes = Nodes()
    nodes.nodes.append(node)
    nodes.constants.append(onnx.numpy_helper.from_array(np.ones(6, np.float32), "w"))
    model = nodes.net(["batch", 6], "y", "mean").model
    assert _kinds(_apart(model)) == {"LayerNormalization": 1}


@pytest.mark.parametrize("exponent", [3.0, 0.5, [[2.0, 2.0, 2.0, 2.0, 2.0, 2.0]], [1.0, 2.0, 2.0, 2.0, 2.0, 2.0]])
def test_other_powers_stay(exponent: float | list[float]) -> None:
    nodes = Nodes()
    model = nodes.net(["batch", 6], nodes.add("Pow", "x", nodes.constant(exponent)), opset=13).model
    x: Array = np.random.default_rng(4).uniform(1, 2, (3, 6)).astype(np.float32)
    assert _kinds(_apart(model)) == {"Pow": 1}
    np.testing.assert_array_equal(first(_apart(model), x), first(model, x))


def test_the_steps_of_a_layer_are_known_and_are_not_layers_that_begin_with_its_name() -> None:
    nodes = Nodes()
    y = nodes.add("Relu", nodes.add("LayerNormalization", "x", nodes.normal(6)))
    model = nodes.net(["batch", 6], y).model
    model.graph.node[0].name, model.graph.node[1].name = "norm", "norm/behind"
    steps = steps_of("norm", _apart(model), model)
    kinds = Counter(node.op_type for node in _apart(model).graph.node if node.name in steps)
    assert kinds == {"ReduceMean": 2, "Sub": 1, "Mul": 3, "Add": 1, "Pow": 1}
    assert steps_of("norm/behind", _apart(model), model) == ["norm/behind"]
