"""Nets of float64 become float32 from their first product on, and nothing else of them changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.converters.opening import open_source
from mlpack_edge.converters.quantization.narrowed import narrowed
from mlpack_edge.converters.sources.source import SourceOptions
from mlpack_edge.runtimes.onnxruntime import open_session, run


def _model(nodes: list[Any], constants: dict[str, np.ndarray], width: int, output: tuple[str, int]) -> onnx.ModelProto:
    info = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", size]) for name, size in (("x", width), output)
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "net", info[:1], info[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def net() -> onnx.ModelProto:
    """A scaler, a product with a bias and a ramp, and a comparison with what the product gave."""
    random = np.random.default_rng(1)
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["centred"], "scale"),
        helper.make_node("MatMul", ["centred", "w"], ["z"], "product"),
        helper.make_node("Add", ["z", "b"], ["a"], "bias"),
        helper.make_node("Max", ["a", "zero"], ["h"], "ramp"),
        helper.make_node("Identity", ["h"], ["y"], "out"),
    ]
    constants = {
        "mean": random.normal(size=6) * 1e6, "w": random.normal(size=(6, 4)), "b": random.normal(size=(1, 4)),
        "zero": np.zeros((1, 1)),
    }  # fmt: skip
    return _model(nodes, constants, 6, ("y", 4))


def test_products_are_of_float32_and_scalers_before_them_of_float64(net: onnx.ModelProto) -> None:
    made = narrowed(net)
    assert made is not None
    onnx.checker.check_model(made, full_check=True)
    types = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    nodes = {node.name: node for node in made.graph.node}
    assert types[nodes["product"].input[1]] == TensorProto.FLOAT
    assert types[nodes["scale"].input[1]] == TensorProto.DOUBLE
    assert [info.type.tensor_type.elem_type for info in (*made.graph.input, *made.graph.output)] == [
        TensorProto.DOUBLE
    ] * 2
    assert nodes["ramp"].op_type == "Relu"


def test_it_gives_the_same_within_float32(net: onnx.ModelProto) -> None:
    rows = np.random.default_rng(2).normal(size=(50, 6)) + numpy_helper.to_array(net.graph.initializer[0])
    made = narrowed(net)
    assert made is not None
    expected, found = (run(open_session(one.SerializeToString()), {"x": rows})["y"] for one in (net, made))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert not np.array_equal(found, expected)


def test_what_is_read_elsewhere_is_still_there_as_float64(net: onnx.ModelProto) -> None:
    """A branch of a choice reads what the ramp gives, from its own graph."""
    inner = helper.make_graph(
        [helper.make_node("Identity", ["h"], ["taken"])], "branch", [],
        [helper.make_tensor_value_info("taken", TensorProto.DOUBLE, None)],
    )  # fmt: skip
    choice = helper.make_node("If", ["always"], ["chosen"], "choice", then_branch=inner, else_branch=inner)
    net.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    net.graph.node.append(choice)
    net.graph.output.append(helper.make_tensor_value_info("chosen", TensorProto.DOUBLE, ["n", 4]))
    made = narrowed(net)
    assert made is not None
    rows = np.random.default_rng(2).normal(size=(5, 6))
    expected, found = (run(open_session(one.SerializeToString()), {"x": rows})["chosen"] for one in (net, made))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_constants_that_float32_does_not_hold_leave_the_model_alone(net: onnx.ModelProto) -> None:
    net.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full((6, 4), 1e300), "w"))
    assert narrowed(net) is None


def test_a_model_without_products_is_left_alone() -> None:
    node = helper.make_node("Sub", ["x", "mean"], ["y"])
    assert narrowed(_model([node], {"mean": np.zeros(3)}, 3, ("y", 3))) is None


def test_a_pipeline_of_scikit_learn_gives_the_same_labels(tmp_path: Path) -> None:
    import skops.io
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, truth = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier((20,), tol=1e9, n_iter_no_change=30, random_state=0))
    skops.io.dump(model.fit(rows, truth), tmp_path / "iris.skops")
    built = open_source(str(tmp_path / "iris.skops"), SourceOptions(dtype="float64"), lambda stage: None).convert()
    made = narrowed(built.model)
    assert made is not None
    answers = run(open_session(made.SerializeToString()), {built.signature.inputs[0].name: rows})
    np.testing.assert_array_equal(answers["label"], model.predict(rows))
    np.testing.assert_allclose(answers["probabilities"], model.predict_proba(rows), atol=1e-6)
