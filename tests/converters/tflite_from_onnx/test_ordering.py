"""TopK, ArgMax, ArgMin and Hardmax: ties, element types, layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.moving import assert_moved, behind_convolution, filled, images


def _ints(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


@pytest.mark.parametrize("dtype", ["float32", "int64", "int32", "int8", "uint8"])
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [1, -1])
def test_top_k_of_every_element_type_with_ties(dtype: str, largest: int, axis: int) -> None:
    model = model_of(
        [helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=axis, largest=largest)],
        {"x": (dtype, ["batch", 6, 5])},
        ["v", "i"],
        {"k": _ints(3)},
    )
    low, high = (0, 4) if dtype == "uint8" else (-3, 3)
    feeds = [{"x": filled("int8", (n, 6, 5), low, high).astype(dtype)} for n in (1, 2, 7)]
    assert_lowered(model, *feeds)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_the_smallest_of_extreme_whole_numbers(dtype: str) -> None:
    limits = np.iinfo(dtype)
    model = model_of(
        [helper.make_node("TopK", ["x", "k"], ["v", "i"], largest=0)], {"x": (dtype, [4])}, ["v", "i"], {"k": _ints(4)}
    )
    assert_lowered(model, {"x": np.array([limits.max, limits.min, 0, limits.min + 1], dtype)})


def test_top_k_whose_k_is_an_input() -> None:
    model = model_of(
        [helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=1)],
        {"x": ("float32", ["batch", 5]), "k": ("int64", [1])},
        ["v", "i"],
    )
    assert_lowered(model, *({"x": filled("float32", (n, 5)), "k": _ints(n)} for n in (1, 2, 5)))


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "int8", "uint8"])
@pytest.mark.parametrize("attributes", [{"keepdims": 0, "axis": -1}, {"axis": 1}, {"axis": 1, "select_last_index": 1}])
def test_places_of_extremes_with_ties(op: str, dtype: str, attributes: dict[str, Any]) -> None:
    model = model_of([helper.make_node(op, ["x"], ["y"], **attributes)], {"x": (dtype, ["batch", 6, 4])}, ["y"])
    low, high = (0, 3) if dtype == "uint8" else (-2, 2)
    assert_lowered(model, *({"x": filled("int8", (n, 6, 4), low, high).astype(dtype)} for n in (1, 2, 7)))


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_places_of_extremes_of_int64_beyond_int32(op: str, last: int) -> None:
    """ONNX Runtime has no ArgMax of int64."""
    node = helper.make_node(op, ["x"], ["y"], axis=1, select_last_index=last)
    model = model_of([node], {"x": ("int64", ["batch", 3])}, ["y"])
    rows = np.array([[2**40, 2**41, 5], [7, 2**33, 2**33]], np.int64)
    signed = rows if op == "ArgMax" else -rows
    wanted = 2 - signed[:, ::-1].argmax(1) if last else signed.argmax(1)
    np.testing.assert_array_equal(run_tflite(lower(model).data, {"x": rows})["y"], wanted[:, None])


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axis", [1, 2])
def test_classes_of_each_pixel_are_found_in_the_layout_at_hand(keepdims: int, axis: int) -> None:
    model = behind_convolution([helper.make_node("ArgMax", ["c"], ["y"], axis=axis, keepdims=keepdims)])
    made = kinds(assert_lowered(model, *images()).data)
    assert made.count("TRANSPOSE") == (1 if axis == 1 else 2)  # without channels nothing moves back


@pytest.mark.parametrize(("opset", "axis"), [(11, 1), (11, 2), (13, 1), (13, -1)])
def test_hardmax(opset: int, axis: int) -> None:
    made = helper.make_node("Hardmax", ["x"], ["y"], axis=axis)
    assert_moved(made, "float32", ("batch", 3, 4), opset=opset)


def test_hardmax_behind_a_convolution() -> None:
    model = behind_convolution([helper.make_node("Hardmax", ["c"], ["y"], axis=1)])
    assert kinds(assert_lowered(model, *images()).data).count("TRANSPOSE") == 2
