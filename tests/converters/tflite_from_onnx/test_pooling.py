"""Pools against ONNX Runtime: padding, ceil_mode, dilations, one to three dimensions, indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.images import assert_operator, normal
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of

SHAPES = {1: ["n", 3, 9], 2: ["n", 3, 9, 8], 3: ["n", 3, 9, 8, 7]}
POOLS: list[tuple[str, dict[str, Any]]] = [
    ("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1}), ("LpPool", {"p": 2}), ("LpPool", {"p": 3}),
]  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("operator", "extra"), POOLS)
@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "dilation", "ceil"),
    [(3, 2, 1, 1, 0), (2, 2, 0, 1, 1), (3, 2, 1, 1, 1), (3, 1, 1, 1, 0), (3, 2, 1, 2, 0), (2, 1, 1, 2, 1)],
)
def test_geometry(
    operator: str, extra: dict[str, Any], rank: int, kernel: int, stride: int, pad: int, dilation: int, ceil: int
) -> None:
    assert_operator(
        operator, {"x": SHAPES[rank]}, opset=22, batches=(1, 2), kernel_shape=[kernel] * rank, strides=[stride] * rank,
        pads=[pad] * 2 * rank, dilations=[dilation] * rank, ceil_mode=ceil, **extra,
    )  # fmt: skip


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("operator", "extra"), POOLS)
def test_automatic_padding(operator: str, extra: dict[str, Any], auto_pad: str) -> None:
    assert_operator(
        operator, {"x": SHAPES[2]}, opset=22, kernel_shape=[3, 2], strides=[2, 2], auto_pad=auto_pad, **extra
    )


@pytest.mark.parametrize(("operator", "extra"), POOLS)
def test_windows_over_the_end_count_where_nothing_is_padded(operator: str, extra: dict[str, Any]) -> None:
    """auto_pad VALID keeps ceil_mode."""
    assert_operator(
        operator,
        {"x": SHAPES[2]},
        opset=22,
        kernel_shape=[2, 3],
        strides=[3, 2],
        auto_pad="VALID",
        ceil_mode=1,
        **extra,
    )


@pytest.mark.parametrize(("operator", "extra"), POOLS)
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [10, 2]},
        {"kernel_shape": [3, 3], "dilations": [1, 4], "strides": [1, 3]},
        {"kernel_shape": [3, 3], "dilations": [2, 1], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [1, 3], "strides": [3, 1], "auto_pad": "SAME_UPPER"},
    ],
)
def test_windows_beyond_the_image_are_refused(operator: str, extra: dict[str, Any], attributes: dict[str, Any]) -> None:
    """As is automatic padding of windows that are dilated or do not touch: ONNX Runtime's is not the standard's."""
    model = model_of(
        [helper.make_node(operator, ["x"], ["y"], **attributes, **extra)],
        {"x": ("float32", SHAPES[2])}, ["y"], opset=22,
    )  # fmt: skip
    with pytest.raises(Unsupported, match="cannot be lowered"):
        lower(model)


def test_a_pool_that_fits_is_one_operator_at_any_size() -> None:
    made = assert_operator("MaxPool", {"x": ["n", 3, "h", "w"]}, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    assert made == ["TRANSPOSE", "MAX_POOL_2D", "TRANSPOSE"]


@pytest.mark.parametrize("include", [0, 1])
def test_means_over_the_end_of_an_open_size_count_what_is_there(include: int) -> None:
    """Nothing is padded: what lies beyond the end counts in neither case."""
    made = assert_operator(
        "AveragePool", {"x": ["n", 3, "h", "w"]}, opset=22, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1,
        count_include_pad=include,
    )  # fmt: skip
    assert made == ["TRANSPOSE", "AVERAGE_POOL_2D", "TRANSPOSE"]


def test_padding_of_an_open_size_that_does_not_count_is_refused() -> None:
    model = model_of(
        [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)],
        {"x": ("float32", ["n", 3, "h", "w"])},
        ["y"],
    )
    with pytest.raises(Unsupported):
        lower(model)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_maxima_of_integers(dtype: str) -> None:
    model = model_of(
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2])],
        {"x": (dtype, ["n", 3, 7, 6])},
        ["y"],
    )
    low = np.iinfo(dtype).min
    rng = np.random.default_rng(0)
    assert_lowered(model, *[{"x": rng.integers(low, low + 200, (n, 3, 7, 6)).astype(dtype)} for n in (1, 2, 7)])


@pytest.mark.parametrize("storage_order", [0, 1])
@pytest.mark.parametrize(
    "attributes",
    [{"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}, {"kernel_shape": [2, 2], "ceil_mode": 1}],
)
def test_indices_count_over_the_whole_batch(storage_order: int, attributes: dict[str, Any]) -> None:
    model = model_of(
        [helper.make_node("MaxPool", ["x"], ["y", "i"], storage_order=storage_order, **attributes)],
        {"x": ("float32", ["n", 3, 7, 6])},
        ["y", "i"],
    )
    assert_lowered(model, *[{"x": normal(n, 3, 7, 6)} for n in (1, 2, 7)])


def test_unpooling_puts_maxima_back() -> None:
    model = model_of(
        [
            helper.make_node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("MaxUnpool", ["p", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
        ],
        {"x": ("float32", [2, 3, 6, 8])},
        ["y"],
    )
    assert_lowered(model, {"x": normal(2, 3, 6, 8)})


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("shape", [["n", 5, 4], ["n", 5, 4, 3], ["n", 5, 2, 4, 3], ["n", 5, "h", "w"]])
def test_global_pools(operator: str, shape: list[int | str]) -> None:
    assert_operator(operator, {"x": shape})


def test_a_padded_maximum_behind_a_relu_is_padded_with_zeros() -> None:
    """XNNPACK pads with zeros alone; below them there is nothing."""
    model = model_of(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("MaxPool", ["r"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        ],
        {"x": ("float32", ["n", 3, 8, 8])},
        ["y"],
        {"w": normal(4, 3, 3, 3)},
    )
    made = kinds(assert_lowered(model, *[{"x": normal(n, 3, 8, 8)} for n in (1, 2)], atol=2e-5).data)
    assert made == ["TRANSPOSE", "CONV_2D", "PAD", "MAX_POOL_2D", "TRANSPOSE"]
