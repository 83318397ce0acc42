"""Ranges, fillings, one-hot rows, triangles, and what rearranges blocks and sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.moving import assert_moved, behind_convolution, filled, images


def _ints(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


@pytest.mark.parametrize("value", [np.array([2.5], np.float32), np.array([-3], np.int64), np.array([True])])
def test_a_constant_as_large_as_an_input(value: np.ndarray) -> None:
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("ConstantOfShape", ["s"], ["y"], value=numpy_helper.from_array(value)),
        ],
        {"x": ("float32", ["batch", 3])},
        ["y"],
    )
    assert_lowered(model, *({"x": filled("float32", (n, 3))} for n in (1, 2, 7)))


def test_positions_of_a_sequence() -> None:
    """Range over a size that is open, as exporters write positions."""
    model = model_of(
        [
            helper.make_node("Shape", ["x"], ["n"], start=1, end=2),
            helper.make_node("Squeeze", ["n"], ["t"]),
            helper.make_node("Range", ["zero", "t", "one"], ["r"]),
            helper.make_node("Gather", ["table", "r"], ["p"]),
            helper.make_node("Add", ["x", "p"], ["y"]),
        ],
        {"x": ("float32", ["batch", "time", 3])},
        ["y"],
        {"zero": np.array(0), "one": np.array(1), "table": filled("float32", (9, 3))},
    )
    assert_lowered(model, *({"x": filled("float32", (n, t, 3))} for n, t in ((1, 4), (2, 9), (7, 1))))


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_a_range_of_bounds_that_are_inputs(dtype: str) -> None:
    names = ("a", "b", "c")
    model = model_of([helper.make_node("Range", names, ["y"])], {name: (dtype, []) for name in names}, ["y"])
    feeds = [
        dict(zip(names, (np.array(n, dtype) for n in row), strict=True)) for row in ((0, 5, 1), (9, 0, -2), (2, 3, 4))
    ]
    assert_lowered(model, *feeds)


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize(
    ("dtype", "depth", "values"),
    [
        ("int64", "int64", np.array([0, 1], np.float32)),
        ("int64", "int64", np.array([5, 2], np.int64)),
        ("int32", "int32", np.array([0, 1], np.float32)),
        ("float32", "float32", np.array([0.5, 2], np.float32)),
    ],
)
def test_one_hot_rows_of_negative_and_outside_indices(axis: int, dtype: str, depth: str, values: np.ndarray) -> None:
    model = model_of(
        [helper.make_node("OneHot", ["x", "d", "v"], ["y"], axis=axis)],
        {"x": (dtype, ["batch", 4])}, ["y"], {"d": np.array([3], depth), "v": values},
    )  # fmt: skip
    assert_lowered(model, *({"x": filled("int8", (n, 4), -5, 6).astype(dtype)} for n in (1, 2, 7)))


@pytest.mark.parametrize(
    "indices",
    [
        np.array([0, -0.25, 1.5, 2, -1.75, -3, 2.75, 1e10, -1e10], np.float32),
        np.array([0, 2**32, 2**32 + 1, -(2**32) - 1, np.iinfo(np.int64).max, np.iinfo(np.int64).min, -2, 2, 3]),
    ],
)
def test_one_hot_rows_of_what_is_no_index(indices: np.ndarray) -> None:
    """A float between two whole numbers has no place, and a large integer none of a smaller one's."""
    model = model_of(
        [helper.make_node("OneHot", ["x", "d", "v"], ["y"])],
        {"x": (indices.dtype.name, [9])}, ["y"],
        {"d": np.array(3, indices.dtype), "v": np.array([0, 1], np.float32)},
    )  # fmt: skip
    assert_lowered(model, {"x": indices})


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "int32"])
@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [0, -1, 2])
def test_triangles(dtype: str, upper: int, k: int) -> None:
    made = helper.make_node("Trilu", ["x", "k"], ["y"], upper=upper)
    assert_moved(made, dtype, ("batch", 4, 5), {"k": np.array(k)})


@pytest.mark.parametrize("upper", [0, 1])
def test_triangles_of_open_sizes_and_behind_a_convolution(upper: int) -> None:
    made = helper.make_node("Trilu", ["x", "k"], ["y"], upper=upper)
    model = model_of([made], {"x": ("float32", ["batch", "time", "time"])}, ["y"], {"k": np.array(1)})
    assert_lowered(model, *({"x": filled("float32", (n, t, t))} for n, t in ((1, 4), (2, 5), (7, 3))))
    model = behind_convolution([helper.make_node("Trilu", ["c"], ["y"], upper=upper)])
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 2


@pytest.mark.parametrize("shape", [(3, 4), ("n", 4)])
@pytest.mark.parametrize("attributes", [{}, {"k": 1, "dtype": onnx.TensorProto.INT64}, {"k": -2}])
def test_diagonals(shape: tuple[Any, ...], attributes: dict[str, int]) -> None:
    assert_moved(helper.make_node("EyeLike", ["x"], ["y"], **attributes), "float32", shape)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("block", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_depth_to_space_at_the_border(mode: str, block: int, dtype: str) -> None:
    made = helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=block, mode=mode)
    assert_moved(made, dtype, ("batch", 2 * block * block, 3, 2))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_behind_a_convolution(mode: str) -> None:
    model = behind_convolution([helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2, mode=mode)])
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 1  # one channel is left, which is no move


def test_space_to_depth_undoes_depth_to_space() -> None:
    model = behind_convolution(
        [
            helper.make_node("DepthToSpace", ["c"], ["d"], blocksize=2),
            helper.make_node("SpaceToDepth", ["d"], ["y"], blocksize=2),
        ]
    )
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 2
    assert_moved(helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=3), "float32", ("batch", 2, 6, 3))


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "int64"])
@pytest.mark.parametrize(("batch", "time"), [(0, 1), (1, 0)])
def test_sequences_turned_round(dtype: str, batch: int, time: int) -> None:
    made = helper.make_node("ReverseSequence", ["x", "n"], ["y"], batch_axis=batch, time_axis=time)
    assert_moved(made, dtype, (3, 3, 4), {"n": _ints(1, 3, 2)})


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@pytest.mark.parametrize("attributes", [{}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}])
def test_running_sums(dtype: str, attributes: dict[str, int]) -> None:
    for axis in (0, -1):
        made = helper.make_node("CumSum", ["x", "a"], ["y"], **attributes)
        assert_moved(made, dtype, ("batch", 3, 4), {"a": np.array(axis)})


@pytest.mark.parametrize("attributes", [{}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}])
@pytest.mark.parametrize("size", [1, 5])
def test_running_products(attributes: dict[str, int], size: int) -> None:
    node = helper.make_node("CumProd", ["x", "a"], ["y"], **attributes)
    model = model_of([node], {"x": ("float32", ["batch", size])}, ["y"], {"a": np.array(1)}, opset=26)
    x = filled("float32", (3, size)) + 2
    run = np.cumprod(x[:, ::-1] if "reverse" in attributes else x, axis=1)
    if "exclusive" in attributes:
        run = np.concatenate([np.ones((3, 1), np.float32), run[:, :-1]], axis=1)
    wanted = run[:, ::-1] if "reverse" in attributes else run
    np.testing.assert_allclose(run_tflite(lower(model).data, {"x": x})["y"], wanted, rtol=1e-5)


def test_an_output_that_is_declared_empty_is_handed_out() -> None:
    model = model_of([helper.make_node("ConstantOfShape", ["x"], ["y"])], {"x": ("int64", [1])}, ["y"])
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 0
    assert_lowered(model, {"x": _ints(0)})
