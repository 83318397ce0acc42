"""Concat, Split and Slice, in the layout at hand."""

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
HUGE = np.iinfo(np.int64).max


def _ints(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_of_a_value_with_itself_and_a_constant(dtype: str, axis: int) -> None:
    shape: list[int | str] = [2, 3, 4] if axis == 0 else ["batch", 3, 4]
    constant = {"k": filled(dtype, (2, 3, 4))} if axis == 0 else {}
    inputs = ["x", "k", "x"] if axis == 0 else ["x", "x"]
    assert_moved(helper.make_node("Concat", inputs, ["y"], axis=axis), dtype, shape, constant)


def test_concat_leaves_out_what_is_empty() -> None:
    made = helper.make_node("Concat", ["e", "x"], ["y"], axis=1)
    assert assert_moved(made, "float32", (2, 3), {"e": np.zeros((2, 0), np.float32)}) == ["RESHAPE"]


def test_concat_of_eight_dimensions() -> None:
    assert_moved(helper.make_node("Concat", ["x", "x"], ["y"], axis=4), "float32", ("batch", 1, 2, 1, 2, 1, 2, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("sizes", "axis"), [((2, 1, 3), 1), ((3, 3), -2), ((6, 0), 1)])
def test_split_in_given_sizes(dtype: str, sizes: tuple[int, ...], axis: int) -> None:
    names = [f"y{i}" for i in range(len(sizes))]
    made = helper.make_node("Split", ["x", "s"], names, axis=axis)
    shape: tuple[Any, ...] = (2, 6, 4) if 0 in sizes else ("batch", 6, 4)
    if 0 in sizes:
        names = names[:1]
    assert_moved(made, dtype, shape, {"s": _ints(*sizes)}, names)


@pytest.mark.parametrize(("opset", "attributes"), [(11, {}), (13, {}), (18, {"num_outputs": 3})])
def test_split_by_the_number_of_outputs(opset: int, attributes: dict[str, int]) -> None:
    made = helper.make_node("Split", ["x"], ["a", "b", "c"], axis=1, **attributes)
    assert_moved(made, "float32", ("batch", 6), outputs=["a", "b", "c"], opset=opset)
    if opset == 18:
        assert_moved(made, "float32", ("batch", 7), outputs=["a", "b", "c"], opset=opset)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_parts_behind_a_convolution_are_joined_in_its_layout(axis: int) -> None:
    """The parts are taken and joined channel-last: transposes stand at the border alone."""
    sizes = {1: (1, 3), 2: (2, 4), 3: (2, 3)}.get(axis)
    nodes = [helper.make_node("Concat", ["c", "c"], ["y"], axis=axis)]
    constants: dict[str, np.ndarray] = {}
    if sizes:
        constants = {"s": _ints(*sizes)}
        nodes = [
            helper.make_node("Split", ["c", "s"], ["a", "b"], axis=axis),
            helper.make_node("Concat", ["b", "a"], ["y"], axis=axis),
        ]
    assert kinds(assert_lowered(behind_convolution(nodes, constants=constants), *images()).data).count("TRANSPOSE") == 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("starts", "ends", "axes", "steps"),
    [
        ([1], [3], [1], [1]),
        ([-3, 0], [HUGE, -1], [-1, 1], [1, 1]),
        ([HUGE], [-HUGE], [2], [-1]),
        ([-1], [0], [1], [-2]),
        ([0], [HUGE], [0], [1]),
        ([4, 1], [100, 5], [2, 1], [1, 2]),
        ([-9, -5], [-HUGE, -9], [2, 1], [-1, -2]),
    ],
)
def test_slice_of_known_axes(dtype: str, starts: list[int], ends: list[int], axes: list[int], steps: list[int]) -> None:
    constants = {"a": _ints(*starts), "b": _ints(*ends), "c": _ints(*axes), "d": _ints(*steps)}
    assert_moved(helper.make_node("Slice", ["x", *constants], ["y"]), dtype, ("batch", 4, 6), constants)


@pytest.mark.parametrize(
    ("start", "end", "step"),
    [
        (1, HUGE, 1),
        (0, -1, 1),
        (-2, HUGE, 1),
        (-1, -HUGE, -1),
        (0, 3, 1),
        (1, 4, 2),
        (0, HUGE, 2),
        (2, 5, 1),
        (-5, -2, 1),
    ],
)
def test_slice_of_an_axis_whose_size_is_open(start: int, end: int, step: int) -> None:
    """Bounds beyond the size are cut off as they are in ONNX, with XNNPACK and without."""
    constants = {"a": _ints(start), "b": _ints(end), "c": _ints(1), "d": _ints(step)}
    made = helper.make_node("Slice", ["x", *constants], ["y"])
    model = model_of([made], {"x": ("float32", [2, "time", 3])}, ["y"], constants)
    assert_lowered(model, *({"x": filled("float32", (2, n, 3))} for n in (3, 4, 9)))


@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_slice_is_what_numpy_and_onnx_say(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True))
    bound = st.integers(-7, 7)
    starts, ends = ([data.draw(bound) for _ in axes] for _ in range(2))
    steps = [data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3])) for _ in axes]
    x = filled("float32", shape)
    if 0 in np.shape(x[tuple(_python(axes, starts, ends, steps, a, n) for a, n in enumerate(shape))]):
        return
    constants = {"a": _ints(*starts), "b": _ints(*ends), "c": _ints(*axes), "d": _ints(*steps)}
    model = model_of([helper.make_node("Slice", ["x", *constants], ["y"])], {"x": ("float32", shape)}, ["y"], constants)
    assert_lowered(model, {"x": x})


def _python(axes: list[int], starts: list[int], ends: list[int], steps: list[int], axis: int, size: int) -> slice:
    if axis not in axes:
        return slice(None)
    i = axes.index(axis)
    start = max(starts[i], -size) if steps[i] < 0 else starts[i]
    return slice(start, None if steps[i] < 0 and ends[i] < -size else ends[i], steps[i])


@pytest.mark.parametrize("opset", [7, 9])
def test_slice_with_attributes(opset: int) -> None:
    made = helper.make_node("Slice", ["x"], ["y"], starts=[0, -2], ends=[2, HUGE], axes=[1, 2])
    assert_moved(made, "float32", ("batch", 4, 6), opset=opset)


def test_slice_up_to_the_length_of_a_sequence() -> None:
    """Positions of a transformer: as many rows of a table as the sequence has."""
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["n"], start=1, end=2),
            helper.make_node("Slice", ["table", "zero", "n", "axis"], ["p"]),
            helper.make_node("Add", ["x", "p"], ["y"]),
        ],
        {"x": ("float32", ["batch", "time", 3])},
        ["y"],
        {"table": filled("float32", (1, 16, 3)), "zero": _ints(0), "axis": _ints(1)},
    )
    assert_lowered(model, *({"x": filled("float32", (n, t, 3))} for n, t in ((1, 4), (2, 16), (7, 1))))


def test_slice_behind_a_convolution_keeps_its_layout() -> None:
    constants = {"from": _ints(1, 2), "to": _ints(HUGE, 5), "axes": _ints(1, -1)}
    model = behind_convolution([helper.make_node("Slice", ["c", *constants], ["y"])], constants=constants)
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 2


def test_parts_that_do_not_add_up_are_refused() -> None:
    made = helper.make_node("Split", ["x", "s"], ["a", "b"], axis=1, name="halves")
    model = model_of([made], {"x": ("float32", ["batch", "n"])}, ["a", "b"], {"s": _ints(2, 3)})
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 6
    with pytest.raises(Unsupported, match="halves"):
        lower(model)


@pytest.mark.parametrize(("start", "end"), [(0, 0), (3, 3), (2, 1)])
def test_a_slice_of_nothing_is_empty_with_an_open_batch(start: int, end: int) -> None:
    """XNNPACK would take an end of 0 for the end of the axis."""
    constants = {"a": _ints(start), "b": _ints(end), "c": _ints(1)}
    made = helper.make_node("Slice", ["x", *constants], ["e"])
    joined = helper.make_node("Concat", ["e", "x"], ["y"], axis=1)
    model = model_of([made, joined], {"x": ("float32", ["batch", 3])}, ["y"], constants)
    assert_lowered(model, *({"x": filled("float32", (n, 3))} for n in (1, 2, 7)))


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("steps", [(1, 1), (2, 1)])
def test_slice_by_bounds_that_are_inputs(dtype: str, steps: tuple[int, int]) -> None:
    constants = {"c": np.array([2, 0], dtype), "d": np.array(steps, dtype)}
    model = model_of(
        [helper.make_node("Slice", ["x", "a", "b", "c", "d"], ["y"])],
        {"x": ("float32", [5, 4, 6]), "a": (dtype, [2]), "b": (dtype, [2])},
        ["y"],
        constants,
    )
    most = np.iinfo(dtype).max
    feeds = [
        {"x": filled("float32", (5, 4, 6)), "a": np.array(a, dtype), "b": np.array(b, dtype)}
        for a, b in (((0, 1), (3, 4)), ((-2, 0), (most, -1)), ((1, 2), (100, most)))
    ]
    assert_lowered(model, *feeds)
