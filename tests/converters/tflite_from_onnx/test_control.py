"""If, Loop and Scan: branches in their place, loops unrolled, what cannot be is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of
from tests.converters.tflite_from_onnx.moving import filled

FLOAT, INT64, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL


def _graph(
    nodes: list[onnx.NodeProto], inputs: list[onnx.ValueInfoProto], outputs: list[tuple[str, int]]
) -> onnx.GraphProto:
    return helper.make_graph(
        nodes, "inner", inputs, [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs]
    )


def _ranked(model: onnx.ModelProto, *shapes: list[int | str], kind: int = FLOAT) -> onnx.ModelProto:
    """The outputs with the shapes that exporters write and inference does not find."""
    for output, shape in zip(model.graph.output, shapes, strict=True):
        output.CopyFrom(helper.make_tensor_value_info(output.name, kind, shape))
    return model


def _branches() -> dict[str, onnx.GraphProto]:
    yes = _graph([helper.make_node("Mul", ["x", "two"], ["a"])], [], [("a", FLOAT)])
    no = _graph([helper.make_node("Neg", ["x"], ["b"])], [], [("b", FLOAT)])
    yes.initializer.append(numpy_helper.from_array(np.array(2, np.float32), "two"))
    return {"then_branch": yes, "else_branch": no}


@pytest.mark.parametrize("taken", [True, False])
def test_a_constant_condition_leaves_one_branch(taken: bool) -> None:
    model = model_of(
        [helper.make_node("If", ["c"], ["y"], **_branches())],
        {"x": ("float32", ["batch", 3])}, ["y"], {"c": np.array(taken)},
    )  # fmt: skip
    made = kinds(assert_lowered(model, *({"x": filled("float32", (n, 3))} for n in (1, 2, 7))).data)
    assert made == (["MUL"] if taken else ["NEG"])


def test_a_condition_that_is_an_input_chooses_between_the_branches() -> None:
    model = model_of(
        [helper.make_node("If", ["c"], ["y"], **_branches())],
        {"x": ("float32", ["batch", 3]), "c": ("bool", [])}, ["y"],
    )  # fmt: skip
    feeds = [{"x": filled("float32", (n, 3)), "c": np.array(n == 2)} for n in (1, 2, 7)]
    assert_lowered(model, *feeds)


def test_branches_of_different_shapes_are_refused() -> None:
    branches = _branches()
    branches["else_branch"] = _graph([helper.make_node("Size", ["x"], ["b"])], [], [("b", INT64)])
    branches["then_branch"] = _graph([helper.make_node("Shape", ["x"], ["a"])], [], [("a", INT64)])
    model = model_of(
        [helper.make_node("If", ["c"], ["y"], name="fork", **branches)],
        {"x": ("float32", ["batch", 3]), "c": ("bool", [])}, ["y"],
    )  # fmt: skip
    with pytest.raises(Unsupported, match="fork"):
        lower(_ranked(model, ["n"], kind=INT64))


def _body(condition: list[onnx.NodeProto]) -> onnx.GraphProto:
    """s -> s * 2 + i + x, and s as a scan output."""
    inputs = [
        helper.make_tensor_value_info("i", INT64, []),
        helper.make_tensor_value_info("on", BOOL, []),
        helper.make_tensor_value_info("s", FLOAT, None),
    ]
    nodes = [
        helper.make_node("Cast", ["i"], ["f"], to=FLOAT),
        helper.make_node("Add", ["s", "s"], ["d"]),
        helper.make_node("Add", ["d", "f"], ["e"]),
        helper.make_node("Add", ["e", "x"], ["t"]),
        helper.make_node("Identity", ["s"], ["was"]),
        *condition,
    ]
    return _graph(nodes, inputs, [("go", BOOL), ("t", FLOAT), ("was", FLOAT)])


@pytest.mark.parametrize("rounds", [1, 4])
def test_a_loop_of_known_length_is_unrolled(rounds: int) -> None:
    body = _body([helper.make_node("Identity", ["on"], ["go"])])
    model = model_of(
        [helper.make_node("Loop", ["m", "", "x"], ["y", "all"], body=body)],
        {"x": ("float32", ["batch", 3])}, ["y", "all"], {"m": np.array(rounds)},
    )  # fmt: skip
    _ranked(model, ["batch", 3], [rounds, "batch", 3])
    assert_lowered(model, *({"x": filled("float32", (n, 3))} for n in (1, 2, 7)))


def test_a_loop_ends_when_its_counted_condition_does() -> None:
    body = _body([helper.make_node("Less", ["i", "limit"], ["go"])])
    body.initializer.append(numpy_helper.from_array(np.array(2), "limit"))
    model = model_of(
        [helper.make_node("Loop", ["", "yes", "x"], ["y", "all"], body=body)],
        {"x": ("float32", [2, 3])}, ["y", "all"], {"yes": np.array(True)},
    )  # fmt: skip
    assert_lowered(_ranked(model, [2, 3], ["rounds", 2, 3]), {"x": filled("float32", (2, 3))})


def test_a_condition_that_depends_on_the_data_stops_what_is_carried() -> None:
    body = _body(
        [
            helper.make_node("ReduceMax", ["t"], ["most"], keepdims=0),
            helper.make_node("Less", ["most", "ten"], ["go"]),
        ]
    )
    body.initializer.append(numpy_helper.from_array(np.array(10, np.float32), "ten"))
    del body.output[2]
    model = model_of(
        [helper.make_node("Loop", ["m", "", "x"], ["y"], body=body)], {"x": ("float32", [3])}, ["y"], {"m": np.array(6)}
    )
    assert_lowered(_ranked(model, [3]), *({"x": np.array([a, 0, -1], np.float32)} for a in (0.1, 3, 20)))


def test_a_loop_too_long_to_write_out_ends_where_the_data_say() -> None:
    """It becomes a WHILE that goes on with what it carries unchanged, as libsvm's coupling of probabilities is written."""
    body = _body(
        [helper.make_node("ReduceMax", ["t"], ["most"], keepdims=0), helper.make_node("Less", ["most", "end"], ["go"])]
    )
    body.initializer.append(numpy_helper.from_array(np.array(1e6, np.float32), "end"))
    del body.output[2]
    loop = helper.make_node("Loop", ["m", "", "x"], ["y"], body=body)
    model = _ranked(model_of([loop], {"x": ("float32", ["n", 3])}, ["y"], {"m": np.array(1000)}), ["n", 3])
    feeds = [{"x": np.full((n, 3), start, np.float32)} for n, start in ((1, 0.1), (2, 3), (7, 2e6))]
    assert kinds(assert_lowered(model, *feeds).data).count("WHILE") == 1


def test_a_loop_of_a_million_rounds_is_refused() -> None:
    body = _body([helper.make_node("Identity", ["on"], ["go"])])
    loop = helper.make_node("Loop", ["m", "", "x"], ["y", "all"], body=body, name="round")
    model = model_of([loop], {"x": ("float32", [3])}, ["y", "all"], {"m": np.array(1_000_000)})
    with pytest.raises(Unsupported, match="round"):
        lower(_ranked(model, [3], ["rounds", 3]))


@pytest.mark.parametrize("condition", ["", "on"])
def test_a_loop_of_as_many_rounds_as_an_input_says(condition: str) -> None:
    """What is carried, what is made in each round, a value from outside, and an initial condition of the data."""
    body = _body([helper.make_node("Identity", ["on"], ["go"])])
    loop = helper.make_node("Loop", ["m", condition, "x"], ["y", "all"], body=body)
    inputs: dict[str, tuple[str, list[int | str]]] = {"x": ("float32", [3]), "m": ("int64", [])}
    if condition:
        inputs["on"] = ("bool", [])
    model = _ranked(model_of([loop], inputs, ["y", "all"]), [3], ["rounds", 3])
    feeds = []
    for rounds in (1, 2, 5):
        feed = {"x": filled("float32", (3,)), "m": np.array(rounds)}
        feeds.append({**feed, "on": np.array(True)} if condition else feed)
    assert_lowered(model, *feeds)


def test_a_loop_that_counts_and_asks_the_data_is_refused() -> None:
    body = _body(
        [helper.make_node("ReduceMax", ["t"], ["n"], keepdims=0), helper.make_node("Less", ["n", "n"], ["go"])]
    )
    loop = helper.make_node("Loop", ["m", "", "x"], ["y", "all"], body=body, name="round")
    model = model_of([loop], {"x": ("float32", [3]), "m": ("int64", [])}, ["y", "all"])
    with pytest.raises(Unsupported, match="round"):
        lower(_ranked(model, [3], ["rounds", 3]))


@pytest.mark.parametrize("directions", [[0], [1]])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_scan_is_unrolled(directions: list[int], axis: int) -> None:
    body = _graph(
        [helper.make_node("Add", ["s", "v"], ["t"]), helper.make_node("Mul", ["t", "v"], ["o"])],
        [helper.make_tensor_value_info("s", FLOAT, None), helper.make_tensor_value_info("v", FLOAT, None)],
        [("t", FLOAT), ("o", FLOAT)],
    )
    scan = helper.make_node(
        "Scan", ["zero", "x"], ["last", "all"], body=body, num_scan_inputs=1, scan_input_axes=[axis],
        scan_input_directions=directions, scan_output_axes=[axis], scan_output_directions=directions,
    )  # fmt: skip
    model = model_of([scan], {"x": ("float32", [4, 4])}, ["last", "all"], {"zero": np.zeros(4, np.float32)})
    assert_lowered(model, {"x": filled("float32", (4, 4))})
