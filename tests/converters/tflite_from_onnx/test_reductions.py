"""Reductions: every operator, over any axes, in the layout at hand, in the element types that TFLite adds up right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of

RNG = np.random.default_rng(0)
OPERATORS = (
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
    "ReduceLogSum", "ReduceLogSumExp",
)  # fmt: skip


def _one(op: str, dtype: str, shape: list[Any], axes: list[int] | None, opset: int = 21, **attributes: Any) -> Any:
    """A model of one reduction; the axes are where its opset has them."""
    as_input = opset >= (13 if op == "ReduceSum" else 18)
    inputs, constants = ["x"], {}
    if axes is not None and as_input:
        inputs.append("axes")
        constants["axes"] = np.array(axes, np.int64)
    elif axes is not None:
        attributes["axes"] = axes
    return model_of([helper.make_node(op, inputs, ["y"], **attributes)], {"x": (dtype, shape)}, ["y"], constants, opset)


def _positive(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
@pytest.mark.parametrize("op", OPERATORS)
def test_axes_are_an_attribute_or_an_input_as_the_opset_has_it(op: str, opset: int) -> None:
    model = _one(op, "float32", ["batch", 3, 4], [1], opset, keepdims=0)
    assert_lowered(model, *[{"x": _positive(n, 3, 4)} for n in (1, 2, 7)])


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(OPERATORS), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data(), st.booleans())
def test_any_axes_with_and_without_their_sizes(op: str, shape: list[int], data: st.DataObject, keep: bool) -> None:
    axes = data.draw(st.none() | st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1))
    if axes is not None:
        axes = [axis - data.draw(st.sampled_from([0, len(shape)])) for axis in axes]
    model = _one(op, "float32", list(shape), axes, keepdims=int(keep))
    assert_lowered(model, {"x": _positive(*shape)})


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("keep", [0, 1])
def test_behind_a_convolution_no_transpose_is_written(op: str, keep: int) -> None:
    """Channels are last there; the mean over space of a classifier, and a reduction over channels."""
    for axes in ([2, 3], [1]):
        model = model_of(
            [
                helper.make_node("Conv", ["x", "w"], ["c"]),
                helper.make_node("Sigmoid", ["c"], ["s"]),
                helper.make_node(op, ["s", "axes"], ["y"], keepdims=keep),
            ],
            {"x": ("float32", ["batch", 2, 5, 5])},
            ["y"],
            {"w": RNG.normal(size=(4, 2, 2, 2)).astype(np.float32), "axes": np.array(axes)},
        )
        feeds = [{"x": RNG.normal(size=(n, 2, 5, 5)).astype(np.float32)} for n in (1, 2, 7)]
        made = kinds(assert_lowered(model, *feeds, rtol=1e-4, atol=1e-5).data)
        assert made.count("TRANSPOSE") <= 1  # that of the image


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare"])
def test_whole_numbers_are_exact(op: str, dtype: str) -> None:
    """Means are truncated, as ONNX Runtime does."""
    if (op, dtype) == ("ReduceSumSquare", "int64"):
        pytest.skip("ONNX Runtime has no kernel for it to compare with")
    model = _one(op, dtype, ["batch", 5], [1])
    assert_lowered(model, {"x": RNG.integers(-30, 30, (3, 5)).astype(dtype)})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool"])
@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_extremes_of_narrow_numbers_and_truth_values(op: str, dtype: str) -> None:
    x = RNG.integers(0, 2, (6, 3)).astype(dtype) if dtype == "bool" else RNG.integers(0, 120, (6, 3)).astype(dtype)
    assert_lowered(_one(op, dtype, ["batch", 3], [1], keepdims=0), {"x": x})


@pytest.mark.parametrize("op", ["ReduceL2", "ReduceLogSum", "ReduceLogSumExp"])
def test_a_root_of_whole_numbers_is_refused(op: str) -> None:
    with pytest.raises(Unsupported, match=op):
        lower(_one(op, "int32", [2, 3], [1]))


@pytest.mark.parametrize("op", OPERATORS)
def test_no_axes_and_noop_reduce_nothing(op: str) -> None:
    """What is done to each element before it is added is done."""
    model = _one(op, "float32", ["batch", 3], [], noop_with_empty_axes=1)
    assert_lowered(model, {"x": -_positive(2, 3) if op == "ReduceL1" else _positive(2, 3)})


@pytest.mark.parametrize("op", [op for op in OPERATORS if op != "ReduceMean"])
def test_over_no_elements(op: str) -> None:
    if op in ("ReduceMax", "ReduceMin"):
        pytest.skip("ONNX Runtime refuses it")
    assert_lowered(_one(op, "float32", [2, 0, 4], [1]), {"x": np.zeros((2, 0, 4), np.float32)})


def test_more_dimensions_than_xnnpack_takes() -> None:
    model = _one("ReduceSum", "float32", [2, 1, 2, 3, 2, 1, 2], [0, 2, 3], keepdims=0)
    assert_lowered(model, {"x": _positive(2, 1, 2, 3, 2, 1, 2)})


def test_exponents_do_not_overflow() -> None:
    model = _one("ReduceLogSumExp", "float32", ["batch", 3], [1])
    x = np.array([[1000.0, 999.0, -5.0], [-2000.0, -2001.0, -2000.5], [0.0, -np.inf, 1.0]], np.float32)
    assert_lowered(model, {"x": x})
