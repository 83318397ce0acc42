"""The passes: what they make of a graph, what they leave alone, and that what is computed stays the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.passes.aliases import keep_apart
from mlpack_edge.converters.tflite_from_onnx.passes.run import improve
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor
from tests.converters.tflite_from_onnx.images import Array, normal
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of

NODE = helper.make_node


def _improved(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Array],
    shape: Sequence[int | str] = ("n", 3, 8, 8),
    outputs: Sequence[str] = ("y",),
) -> tuple[list[str], bytes]:
    """The kinds of operators of a model of `x`; it is right at batch 1, 2 and 7."""
    model = model_of(list(nodes), {"x": ("float32", shape)}, outputs, constants)
    feeds = [{"x": normal(*[n if isinstance(size, str) else size for size in shape])} for n in (1, 2, 7)]
    data = assert_lowered(model, *feeds, rtol=1e-4, atol=1e-4).data
    return kinds(data), data


def _names(data: bytes) -> set[str]:
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    return {detail["name"] for detail in interpreter.get_tensor_details()}


CONV = NODE("Conv", ["x", "w"], ["c"])
W = {"w": normal(4, 3, 3, 3)}
COLUMN = {"k": normal(4, 1, 1), "l": normal(4, 1, 1)}


@pytest.mark.parametrize("operator", ["Mul", "Add", "Sub", "Div"])
def test_a_constant_for_each_channel_goes_into_the_convolution_before(operator: str) -> None:
    made, _ = _improved([CONV, NODE(operator, ["c", "k"], ["y"])], {**W, "k": normal(4, 1, 1) + 3})
    assert made == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]


def test_so_does_a_constant_less_the_result() -> None:
    assert _improved([CONV, NODE("Sub", ["k", "c"], ["y"])], {**W, **COLUMN})[0].count("SUB") == 0


def test_a_constant_by_the_result_stays() -> None:
    made, _ = _improved([CONV, NODE("Exp", ["c"], ["e"]), NODE("Div", ["k", "e"], ["y"])], {**W, **COLUMN})
    assert "DIV" in made


def test_a_constant_for_each_place_stays() -> None:
    assert "MUL" in _improved([CONV, NODE("Mul", ["c", "m"], ["y"])], {**W, "m": normal(4, 6, 6)})[0]


def test_a_result_that_others_read_is_not_changed_under_them() -> None:
    nodes = [
        CONV,
        NODE("Mul", ["c", "k"], ["m"]),
        NODE("Relu", ["c"], ["r"]),
        NODE("Concat", ["m", "r"], ["y"], axis=1),
    ]
    made, _ = _improved(nodes, {**W, **COLUMN})
    assert "MUL" in made
    assert "RELU" in made


def test_an_output_of_the_model_is_not_changed_by_what_follows() -> None:
    made, data = _improved([CONV, NODE("Relu", ["c"], ["y"])], W, outputs=("c", "y"))
    assert "RELU" in made
    assert {"c", "y", "x"} <= _names(data)


@pytest.mark.parametrize("shape", [("n", 3, 9), ("n", 3, "length")])
def test_scale_and_activation_pass_the_reshapes_of_one_dimension(shape: Sequence[int | str]) -> None:
    nodes = [
        NODE("Conv", ["x", "w"], ["c"], pads=[1, 1]),
        NODE("Mul", ["c", "k"], ["m"]),
        NODE("Relu", ["m"], ["r"]),
        NODE("Conv", ["r", "v"], ["y"], pads=[1, 1]),
    ]
    model = model_of(
        nodes, {"x": ("float32", shape)}, ["y"], {"w": normal(4, 3, 3), "v": normal(5, 4, 3), "k": normal(4, 1)}
    )
    made = kinds(assert_lowered(model, {"x": normal(2, 3, 9)}, {"x": normal(7, 3, 9)}, rtol=1e-4, atol=1e-4).data)
    assert "MUL" not in made
    assert "RELU" not in made
    first = made.index("CONV_2D")
    assert made[first : first + 2] == ["CONV_2D", "CONV_2D"]


def test_a_scale_behind_a_transposed_convolution_goes_into_it() -> None:
    nodes = [
        NODE("ConvTranspose", ["x", "w"], ["c"], strides=[2, 2]),
        NODE("Mul", ["c", "k"], ["m"]),
        NODE("Add", ["m", "l"], ["a"]),
        NODE("Relu", ["a"], ["y"]),
    ]
    made, _ = _improved(nodes, {"w": normal(3, 4, 2, 2), **COLUMN})
    assert made == ["TRANSPOSE", "CONV_2D", "DEPTH_TO_SPACE", "TRANSPOSE"]


def test_a_scale_and_a_shift_in_front_of_matrix_products_go_into_them() -> None:
    nodes = [
        NODE("Mul", ["x", "k"], ["m"]),
        NODE("Add", ["m", "l"], ["a"]),
        NODE("MatMul", ["a", "v"], ["p"]),
        NODE("MatMul", ["a", "w"], ["q"]),
        NODE("Tanh", ["q"], ["t"]),
        NODE("Add", ["p", "t"], ["y"]),
    ]
    constants = {"k": normal(6), "l": normal(6), "v": normal(6, 5), "w": normal(6, 5)}
    made, _ = _improved(nodes, constants, ("n", 6))
    assert made.count("FULLY_CONNECTED") == 2
    assert made.count("MUL") == 0
    assert made.count("ADD") == 1


def test_a_shift_in_front_of_padding_stays() -> None:
    """Padding is zero, the shift of nothing is not."""
    nodes = [NODE("Add", ["x", "s"], ["a"]), NODE("Conv", ["a", "w"], ["y"], pads=[1] * 4)]
    assert "ADD" in _improved(nodes, {**W, "s": normal(3, 1, 1)})[0]


@pytest.mark.parametrize(("pads", "explicit"), [([0, 0, 1, 1, 0, 0, 1, 1], 0), ([0, 0, 0, 1, 0, 0, 2, 1], 1)])
def test_explicit_padding_goes_into_the_convolution_where_tflite_pads_the_same(pads: list[int], explicit: int) -> None:
    nodes = [NODE("Pad", ["x", "p"], ["q"]), NODE("Conv", ["q", "w"], ["y"])]
    assert _improved(nodes, {**W, "p": np.array(pads)})[0].count("PAD") == explicit


def test_flattening_an_image_for_a_matrix_product_transposes_its_weights() -> None:
    nodes = [
        CONV,
        NODE("Relu", ["c"], ["r"]),
        NODE("Flatten", ["r"], ["f"]),
        NODE("Gemm", ["f", "g", "h"], ["y"], transB=1),
    ]
    made, data = _improved(nodes, {**W, "g": normal(5, 144) / 12, "h": normal(5)})
    assert made == ["TRANSPOSE", "CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert "f" not in _names(data), "the flattened tensor is in another order than ONNX's"


def test_a_mean_drops_its_axes_itself() -> None:
    nodes = [CONV, NODE("GlobalAveragePool", ["c"], ["g"]), NODE("Flatten", ["g"], ["y"])]
    assert _improved(nodes, W)[0] == ["TRANSPOSE", "CONV_2D", "MEAN"]


def test_what_is_computed_twice_is_computed_once() -> None:
    same = normal(40, 3, 3, 3)
    nodes = [
        NODE("Conv", ["x", "w"], ["a"]),
        NODE("Conv", ["x", "v"], ["b"]),
        NODE("Tanh", ["a"], ["s"]),
        NODE("Sigmoid", ["b"], ["t"]),
        NODE("Add", ["s", "t"], ["y"]),
    ]
    assert _improved(nodes, {"w": same, "v": same.copy()})[0].count("CONV_2D") == 1


def test_what_changes_nothing_is_dropped() -> None:
    nodes = [
        CONV,
        NODE("Mul", ["c", "one"], ["a"]),
        NODE("Add", ["a", "zero"], ["b"]),
        NODE("Pad", ["b", "pads"], ["d"]),
        NODE("Tanh", ["d"], ["y"]),
    ]
    constants = {
        **W,
        "one": np.ones(1, np.float32),
        "zero": np.zeros((4, 1, 1), np.float32),
        "pads": np.zeros(8, np.int64),
    }
    assert _improved(nodes, constants)[0] == ["TRANSPOSE", "CONV_2D", "TANH", "TRANSPOSE"]


def test_the_tensor_that_stays_has_the_later_name() -> None:
    nodes = [CONV, NODE("Relu", ["c"], ["r"]), NODE("Tanh", ["r"], ["y"])]
    _, data = _improved(nodes, W)
    assert "r:0231" in _names(data)
    assert "c:0231" not in _names(data)


def _float(name: str, *shape: int, data: Array | None = None, scale: float | None = None) -> Tensor:
    codes = None if scale is None else Quantization(np.array([scale], np.float32), np.array([0]))
    return Tensor(name, "float32" if scale is None else "int8", shape, data, codes)


def _run(graph: Graph) -> list[str]:
    improve(graph)
    return [op.kind for op in graph.ops]


def test_quantized_activations_are_left_alone() -> None:
    """A code's range is part of its tensor: fusing would change the scale between."""
    x, c, y = (_float(name, 1, 4, 4, 2, scale=scale) for name, scale in (("x", 0.1), ("c", 0.3), ("y", 0.2)))
    weights = Tensor("w", "int8", (2, 1, 1, 2), np.ones((2, 1, 1, 2), np.int8), x.quantization)
    conv = Op("CONV_2D", [x, weights, None], [c], {"padding": "VALID", "stride_h": 1, "stride_w": 1})
    assert _run(Graph([x], [y], [conv, Op("RELU", [c], [y])])) == ["CONV_2D", "RELU"]


def test_a_reshape_that_changes_the_scale_is_kept() -> None:
    x, y, z = _float("x", 4, scale=0.1), _float("y", 4, scale=0.2), _float("z", 4, scale=0.2)
    shape = Tensor("s", "int32", (1,), np.array([4], np.int32))
    ops = [Op("RESHAPE", [x, shape], [y], {}), Op("ABS", [y], [z])]
    assert _run(Graph([x], [z], ops)) == ["RESHAPE", "ABS"]


def test_transposes_that_undo_one_another_go() -> None:
    x, a, b, y = (
        _float(name, *shape) for name, shape in (("x", (2, 3, 4)), ("a", (4, 2, 3)), ("b", (2, 3, 4)), ("y", (2, 3, 4)))
    )
    perm = [Tensor("p", "int32", (3,), np.array(order, np.int32)) for order in ((2, 0, 1), (1, 2, 0))]
    ops = [Op("TRANSPOSE", [x, perm[0]], [a]), Op("TRANSPOSE", [a, perm[1]], [b]), Op("TANH", [b], [y])]
    graph = Graph([x], [y], ops)
    assert _run(graph) == ["TANH"]
    assert graph.ops[0].inputs == [x]


def test_inputs_and_outputs_are_never_lost() -> None:
    """An identity between an input and an output has to stay: they are two tensors."""
    x, y = _float("x", 3), _float("y", 3)
    shape = Tensor("s", "int32", (1,), np.array([3], np.int32))
    graph = Graph([x], [y], [Op("RESHAPE", [x, shape], [y], {})])
    assert _run(graph) == ["RESHAPE"]
    assert (graph.inputs[0].name, graph.outputs[0].name) == ("x", "y")


def test_random_numbers_are_not_merged() -> None:
    shape = Tensor("s", "int32", (1,), np.array([3], np.int32))
    a, b, y = _float("a", 3), _float("b", 3), _float("y", 3)
    ops = [Op("RANDOM_UNIFORM", [shape], [a]), Op("RANDOM_UNIFORM", [shape], [b]), Op("ADD", [a, b], [y])]
    assert _run(Graph([], [y], ops)) == ["RANDOM_UNIFORM", "RANDOM_UNIFORM", "ADD"]


def test_the_scaling_of_an_image_goes_into_the_first_convolution() -> None:
    """(x - mean) / deviation as exports have it, in front of a convolution without padding."""
    nodes = [NODE("Sub", ["x", "mean"], ["s"]), NODE("Div", ["s", "deviation"], ["d"]), NODE("Conv", ["d", "w"], ["y"])]
    constants = {**W, "mean": normal(3, 1, 1), "deviation": np.abs(normal(3, 1, 1)) + 1}
    assert _improved(nodes, constants)[0] == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]


def test_a_scale_passes_padding() -> None:
    nodes = [NODE("Mul", ["x", "s"], ["m"]), NODE("Conv", ["m", "w"], ["y"], pads=[1] * 4)]
    assert _improved(nodes, {**W, "s": normal(3, 1, 1)})[0] == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]


def test_a_chain_of_scales_and_shifts_is_one_of_each() -> None:
    nodes = [
        NODE("Tanh", ["x"], ["t"]),
        NODE("Mul", ["t", "a"], ["p"]),
        NODE("Add", ["p", "b"], ["q"]),
        NODE("Mul", ["q", "c"], ["r"]),
        NODE("Add", ["r", "d"], ["y"]),
    ]
    made, _ = _improved(nodes, {name: normal(3, 1, 1) for name in "abcd"})
    assert made == ["TANH", "MUL", "ADD"]


def test_weights_shared_by_two_convolutions_are_not_changed_for_both() -> None:
    nodes = [
        NODE("Conv", ["x", "w"], ["a"]),
        NODE("Mul", ["a", "k"], ["b"]),
        NODE("Tanh", ["x"], ["t"]),
        NODE("Conv", ["t", "w"], ["d"]),
        NODE("Mul", ["d", "l"], ["e"]),
        NODE("Sub", ["b", "e"], ["y"]),
    ]
    made, _ = _improved(nodes, {**W, **COLUMN})
    assert made.count("CONV_2D") == 2
    assert made.count("MUL") == 0


@pytest.mark.parametrize("operator", ["Softmax", "Add", "Sub", "Mul", "Div"])
def test_no_operator_writes_over_what_is_read_later(operator: str) -> None:
    """LiteRT lets an operator write into memory that reshapes share, unless its input itself is read again."""
    other = ["half"] if operator != "Softmax" else []
    nodes = [
        NODE("Reshape", ["x", "flat"], ["f"]),
        NODE("Softmax", ["f"], ["s"]),
        NODE("Reshape", ["s", "first"], ["a"]),
        NODE("Reshape", ["s", "second"], ["b"]),
        NODE("Reshape", ["s", "third"], ["c"]),
        NODE(operator, ["c", *other], ["d"]),
        NODE("Transpose", ["d"], ["z"], perm=[2, 0, 1]),
        NODE("Transpose", ["b"], ["v"], perm=[0, 2, 1]),
        NODE("Transpose", ["a"], ["y"], perm=[0, 2, 1, 3]),
    ]
    constants = {
        "flat": np.array([-1, 12]), "first": np.array([-1, 2, 3, 2]), "second": np.array([-1, 6, 2]),
        "third": np.array([-1, 4, 3]), "half": np.array(0.37, np.float32),
    }  # fmt: skip
    _improved(nodes, constants, ("n", 3, 4), ("y", "z", "v"))


def test_memory_is_copied_only_where_it_is_read_again() -> None:
    """A chain of reshapes that nobody else reads is not copied; a tensor between that is read later is."""

    def written(again: str) -> list[str]:
        x, shape = Tensor("x", "float32", (4, 6)), Tensor("s", "int32", (2,), np.array([6, 4], np.int32))
        t, a, b, c, y = (Tensor(name, "float32", (6, 4)) for name in "tabcy")
        graph = Graph([x], [y], [
            Op("EXP", [x], [t]), Op("RESHAPE", [t, shape], [a]), Op("SQUEEZE", [a], [b]), Op("SOFTMAX", [b], [c]),
            Op("MAXIMUM", [c, {"a": a, "t": t, "c": c}[again]], [y]),
        ])  # fmt: skip
        keep_apart(graph)
        return [op.kind for op in graph.ops]

    assert "TRANSPOSE" not in written("c")
    assert "TRANSPOSE" not in written("t")  # LiteRT sees that the first of them is read
    assert written("a").index("TRANSPOSE") == 3


@pytest.mark.parametrize(("first", "second"), [("Unsqueeze", "Squeeze"), ("Squeeze", "Unsqueeze")])
def test_reshapes_between_an_input_and_an_output_of_two_open_sizes_stay(first: str, second: str) -> None:
    nodes = [NODE(first, ["x", "axis"], ["a"]), NODE(second, ["a", "axis"], ["y"])]
    model = model_of(nodes, {"x": ("float32", ["n", 1, "m", 2])}, ["y"], {"axis": np.array([1])})
    assert_lowered(model, *({"x": normal(n, 1, m, 2)} for n, m in ((1, 4), (2, 3), (7, 1))))
