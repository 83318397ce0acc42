"""Sizes by name: what `calculated` names, `terms` reads; shape arithmetic that is computed when the model runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.sizes import Size, calculated, product, terms
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, model_of
from tests.converters.tflite_from_onnx.moving import filled

_NAMES = {"batch": 7, "time": 5}


def _value(size: Size) -> int:
    inner = terms(size)
    if inner is not None:
        operator, a, b = inner
        return {"+": _value(a) + _value(b), "-": _value(a) - _value(b), "//": _value(a) // max(_value(b), 1)}[operator]
    if isinstance(size, int):
        return size
    return int(
        np.prod([_NAMES.get(part) or (int(part) if part.isdigit() else _value(part)) for part in size.split("*")])
    )


_leaves = st.one_of(st.integers(1, 9), st.sampled_from(sorted(_NAMES)))
_sizes = st.recursive(
    st.tuples(_leaves, st.just(None)),
    lambda inner: st.tuples(inner, st.tuples(st.sampled_from(["+", "-", "*"]), inner)),
    max_leaves=5,
)


def _build(tree: tuple[object, object]) -> tuple[Size, int]:
    """The size that a tree of operations gives by name, and its number."""
    left, right = tree
    if right is None:
        assert isinstance(left, (int, str))
        return left, _NAMES[left] if isinstance(left, str) else left
    operator, other = right  # type: ignore[misc]
    (a, x), (b, y) = _build(left), _build(other)  # type: ignore[arg-type]
    if operator == "*":
        return (product((a, b)), x * y) if x > 0 and y > 0 else (a, x)
    return calculated(operator, a, b), x + y if operator == "+" else x - y


@given(tree=_sizes)
@example(tree=(((1, None), ("-", (2, None))), ("+", ("batch", None))))
def test_a_calculated_size_can_be_read_back(tree: tuple[object, object]) -> None:
    size, number = _build(tree)
    assert _value(size) == number


@pytest.mark.parametrize("size", ["batch", "(a", "(a)", "(a-1)*(b-1)", "()", "2*(a-1)", 4])
def test_what_is_no_calculation_has_no_terms(size: Size) -> None:
    assert terms(size) is None


def test_a_sequence_grown_by_a_class_token_is_reshaped_by_its_sum() -> None:
    """Concat, and then a shape that is computed from the length and one more."""
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["n"], start=1, end=2),
            helper.make_node("Shape", ["x"], ["b"], start=0, end=1),
            helper.make_node("Add", ["n", "one"], ["m"]),
            helper.make_node("Concat", ["b", "m", "four"], ["s"], axis=0),
            helper.make_node("ConstantOfShape", ["s"], ["z"]),
            helper.make_node("Pad", ["x", "pads"], ["p"]),
            helper.make_node("Add", ["p", "z"], ["y"]),
        ],
        {"x": ("float32", ["batch", "time", 4])},
        ["y"],
        {"one": np.array([1]), "four": np.array([4]), "pads": np.array([0, 1, 0, 0, 0, 0])},
    )
    assert_lowered(model, *({"x": filled("float32", (n, t, 4))} for n, t in ((1, 4), (2, 6), (7, 1))))


def test_an_expand_as_torch_writes_it_computes_no_shape() -> None:
    """Equal to -1 where a size is kept, Where to choose it, Expand: as `x.expand(len(x), 3, -1)`."""
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["b"], start=0, end=1),
            helper.make_node("Concat", ["b", "rest"], ["given"], axis=0),
            helper.make_node("Equal", ["given", "minus"], ["kept"]),
            helper.make_node("Where", ["kept", "ones", "given"], ["t"]),
            helper.make_node("Expand", ["x", "t"], ["y"]),
        ],
        {"x": ("float32", ["batch", 1, 4])},
        ["y"],
        {"rest": np.array([3, -1]), "minus": np.array(-1), "ones": np.ones(3, np.int64)},
    )
    lowered = assert_lowered(model, *({"x": filled("float32", (n, 1, 4))} for n in (1, 2, 7)))
    assert kinds(lowered.data) == ["TILE"]


def test_what_is_left_beside_the_size_of_another_input_is_left_to_the_kernel() -> None:
    """`mask.view(len(ids), -1)` where the exporter gave each input a batch of its own: 5 * other / batch has no name."""
    model = model_of(
        [
            helper.make_node("Shape", ["ids"], ["b"], start=0, end=1),
            helper.make_node("Concat", ["b", "minus"], ["s"], axis=0),
            helper.make_node("Reshape", ["mask", "s"], ["m"]),
            helper.make_node("Add", ["m", "ids"], ["y"]),
        ],
        {"ids": ("float32", ["batch", 5]), "mask": ("float32", ["other", 5])},
        ["y"],
        {"minus": np.array([-1])},
    )
    assert_lowered(model, *({"ids": filled("float32", (n, 5)), "mask": filled("float32", (n, 5))} for n in (1, 2, 7)))


@pytest.mark.parametrize("axes", [[-2, 1], [1, 0], [0, 1, 2]])
def test_a_size_with_several_new_axes_has_them(axes: list[int]) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"], axis=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["y"]),
    ]
    constants = {"first": np.array(0), "axes": np.array(axes)}
    model = model_of(nodes, {"x": ("float32", ["n", 3])}, ["y"], constants)
    assert_lowered(model, *({"x": np.zeros((n, 3), np.float32)} for n in (1, 2, 7)))


def test_half_of_a_negative_difference_of_sizes_is_rounded_towards_0() -> None:
    """As the margin of a crop that is wider than its image is."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "first"], ["n"], axis=0),
        helper.make_node("Sub", ["n", "four"], ["d"]),
        helper.make_node("Div", ["d", "two"], ["y"]),
    ]
    constants = {"first": np.array(0), "four": np.array(4), "two": np.array(2)}
    model = model_of(nodes, {"x": ("float32", ["n", 3])}, ["y"], constants)
    assert_lowered(model, *({"x": np.zeros((n, 3), np.float32)} for n in (1, 3, 7)))


def test_a_shape_backwards_from_before_its_first_size() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Slice", ["s", "start", "end", "axis", "step"], ["y"]),
    ]
    constants = {"start": np.array([-5]), "end": np.array([-9]), "axis": np.array([0]), "step": np.array([-1])}
    model = model_of(nodes, {"x": ("float32", ["n", 3])}, ["y"], constants)
    assert_lowered(model, *({"x": np.zeros((n, 3), np.float32)} for n in (1, 2, 7)))
