"""Reshape and its kin: what moves is written, what does not move is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of
from tests.converters.tflite_from_onnx.moving import assert_moved, behind_convolution, filled, images

DTYPES = ("float32", "int64", "int32", "int8", "uint8", "int16", "bool")


def _ints(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("op", "shape", "constants", "attributes"),
    [
        ("Identity", ("batch", 3), {}, {}),
        ("Transpose", ("batch", 3, 4, 5), {}, {"perm": [3, 1, 0, 2]}),
        ("Transpose", ("batch", 3, 4), {}, {}),
        ("Flatten", ("batch", 3, 4), {}, {}),
        ("Flatten", ("batch", 3, 4), {}, {"axis": -1}),
        ("Flatten", ("batch", 3, 4), {}, {"axis": 0}),
        ("Reshape", ("batch", 6, 4), {"s": _ints(0, 2, -1, 4)}, {}),
        ("Reshape", ("batch", 6, 4), {"s": _ints(-1)}, {}),
        ("Squeeze", ("batch", 1, 4, 1), {"s": _ints(-1, 1)}, {}),
        ("Squeeze", (1, 3, 1), {}, {}),
        ("Unsqueeze", ("batch", 4), {"s": _ints(-1, 0, 2)}, {}),
        ("Expand", ("batch", 1, 4), {"s": _ints(5, 1, 3, 1)}, {}),
        ("Expand", (3, 1), {"s": _ints(2, 1, 6)}, {}),
        ("Tile", ("batch", 3), {"s": _ints(2, 3)}, {}),
    ],
)
def test_every_element_type_keeps_its_elements(
    op: str, shape: tuple[Any, ...], constants: dict[str, np.ndarray], attributes: dict[str, Any], dtype: str
) -> None:
    assert_moved(helper.make_node(op, ["x", *constants], ["y"], **attributes), dtype, shape, constants)


@pytest.mark.parametrize(
    ("op", "constants", "attributes", "transposes"),
    [
        ("Unsqueeze", {"s": _ints(2)}, {}, 2),
        ("Expand", {"s": _ints(3, 1, 1, 1, 1)}, {}, 2),
        ("Tile", {"s": _ints(1, 2, 1, 3)}, {}, 2),
        ("Flatten", {}, {}, 2),
        ("Reshape", {"s": _ints(0, 4, -1)}, {}, 2),
        ("Reshape", {"s": _ints(0, 2, 2, 6, 5)}, {}, 2),
        ("Reshape", {"s": _ints(0, 4, 6, 1, 5)}, {}, 2),
        ("Reshape", {"s": _ints(0, -1, 5)}, {}, 2),
        ("Reshape", {"s": _ints(-1, 6, 5)}, {}, 2),
    ],
)
def test_behind_a_convolution_the_layout_at_hand_is_kept(
    op: str, constants: dict[str, np.ndarray], attributes: dict[str, Any], transposes: int
) -> None:
    model = behind_convolution([helper.make_node(op, ["c", *constants], ["y"], **attributes)], constants=constants)
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") <= transposes


def test_patches_of_an_image_become_a_sequence_without_a_transpose() -> None:
    """Conv, flatten(2), transpose(1, 2): as every vision transformer begins."""
    model = behind_convolution(
        [helper.make_node("Reshape", ["c", "s"], ["f"]), helper.make_node("Transpose", ["f"], ["y"], perm=[0, 2, 1])],
        constants={"s": _ints(0, 4, -1)},
    )
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 1  # of the input


def test_a_squeeze_behind_a_pool_of_everything_moves_nothing() -> None:
    model = behind_convolution(
        [
            helper.make_node("Slice", ["c", "from", "to", "axes"], ["p"]),
            helper.make_node("Squeeze", ["p", "axes"], ["y"]),
        ],
        constants={"from": _ints(2, 3), "to": _ints(3, 4), "axes": _ints(2, 3)},
    )
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 1


@pytest.mark.parametrize("op", ["Squeeze", "Unsqueeze"])
def test_two_open_sizes_stay_open(op: str) -> None:
    shape: list[int | str] = ["batch", 1, "time", 3]
    model = model_of([helper.make_node(op, ["x", "a"], ["y"])], {"x": ("float32", shape)}, ["y"], {"a": _ints(1)})
    assert_lowered(model, *({"x": filled("float32", (n, 1, t, 3))} for n, t in ((1, 4), (2, 5), (7, 1))))


def test_an_expand_to_the_shape_of_another_value_follows_it() -> None:
    model = model_of(
        [helper.make_node("Shape", ["z"], ["s"]), helper.make_node("Expand", ["x", "s"], ["y"])],
        {"x": ("float32", [1, 4]), "z": ("float32", ["batch", 4])},
        ["y"],
    )
    assert_lowered(model, *({"x": filled("float32", (1, 4)), "z": filled("float32", (n, 4))} for n in (1, 2, 7)))


def test_more_than_eight_dimensions_are_refused() -> None:
    """RESHAPE and TRANSPOSE load with them, and fail when the model runs."""
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axes"], ["u"]),
        helper.make_node("Transpose", ["u"], ["y"], perm=list(reversed(range(9)))),
    ]
    model = model_of(nodes, {"x": ("float32", ["n", 2, 3])}, ["y"], {"axes": np.arange(1, 7)})
    with pytest.raises(Unsupported, match="has 9 dimensions"):
        lower(model)


def test_an_output_may_be_an_input_a_constant_or_another_output() -> None:
    model = model_of(
        [
            helper.make_node("Identity", ["x"], ["a"]),
            helper.make_node("Identity", ["x"], ["b"]),
            helper.make_node("Constant", [], ["c"], value_floats=[1.0, 2.0]),
            helper.make_node("Identity", ["c"], ["d"]),
        ],
        {"x": ("float32", ["batch", 3])},
        ["a", "b", "c", "d"],
    )
    assert_lowered(model, *({"x": filled("float32", (n, 3))} for n in (1, 2, 7)))


@given(data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_reshape_behind_any_transpose_is_right(data: st.DataObject) -> None:
    """Whether it can be done in the layout at hand or not; the first size is open."""
    sizes = data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=3))
    perm = data.draw(st.permutations(range(len(sizes) + 1)))
    parts = data.draw(st.permutations([factor for size in sizes for factor in ([2, 2] if size == 4 else [size])]))
    place = data.draw(st.integers(0, len(parts)))
    target = [*parts[:place], -1, *parts[place:]]
    model = model_of(
        [
            helper.make_node("Transpose", ["x"], ["t"], perm=perm),
            helper.make_node("Reshape", ["t", "s"], ["y"]),
        ],
        {"x": ("float32", ["batch", *sizes])},
        ["y"],
        {"s": _ints(*target)},
    )
    assert_lowered(model, *({"x": filled("float32", (n, *sizes))} for n in (1, 2, 7)))
