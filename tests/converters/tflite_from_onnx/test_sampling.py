"""GridSample, AffineGrid, deformable convolution and Col2Im against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.images import Size, assert_operator, normal
from tests.converters.tflite_from_onnx.lowered import assert_lowered, lower, model_of


@pytest.mark.parametrize("align_corners", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
def test_grid_of_two_dimensions(mode: str, padding: str, align_corners: int) -> None:
    """Standard normal places: a third lies outside of the image."""
    inputs: dict[str, list[Size]] = {"x": ["n", 3, 5, 6], "g": ["n", 4, 3, 2]}
    given = {"mode": mode, "padding_mode": padding, "align_corners": align_corners}
    assert_operator("GridSample", inputs, opset=20, batches=(1, 3), atol=1e-4, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_grid_of_three_dimensions(mode: str, padding: str) -> None:
    inputs: dict[str, list[Size]] = {"x": ["n", 3, 5, 6, 4], "g": ["n", 4, 3, 2, 3]}
    assert_operator("GridSample", inputs, opset=20, batches=(1, 3), atol=1e-4, mode=mode, padding_mode=padding)


def test_opset_16_names_the_modes_otherwise() -> None:
    for mode in ("bilinear", "nearest", "bicubic"):
        assert_operator("GridSample", {"x": [2, 3, 5, 6], "g": [2, 4, 3, 2]}, opset=16, atol=1e-4, mode=mode)


def test_an_image_of_open_size_is_refused() -> None:
    node = helper.make_node("GridSample", ["x", "g"], ["y"])
    inputs = {"x": ("float32", ["n", 3, "h", 6]), "g": ("float32", ["n", 4, 3, 2])}
    with pytest.raises(Unsupported):
        lower(model_of([node], inputs, ["y"], opset=20))


@pytest.mark.parametrize("align_corners", [0, 1])
@pytest.mark.parametrize("size", [[2, 3, 5, 6], [2, 3, 4, 5, 6]])
def test_affine_grid(size: list[int], align_corners: int) -> None:
    rank = len(size) - 2
    assert_operator(
        "AffineGrid", {"theta": [2, rank, rank + 1]}, {"size": np.array(size)}, opset=20, align_corners=align_corners
    )


@pytest.mark.parametrize(("groups", "parts", "masked"), [(1, 1, False), (1, 2, True), (2, 1, False)])
def test_deformable_convolution(groups: int, parts: int, masked: bool) -> None:
    inputs: dict[str, list[Size]] = {"x": ["n", 4, 6, 5], "o": ["n", parts * 18, 4, 3]}
    if masked:
        inputs["m"] = ["n", parts * 9, 4, 3]
    assert_operator(
        "DeformConv", inputs, {"w": normal(6, 4 // groups, 3, 3), "b": normal(6)},
        ["x", "w", "o", "b", *(["m"] if masked else [])], opset=19, batches=(1, 2), atol=1e-4,
        group=groups, offset_group=parts, kernel_shape=[3, 3],
    )  # fmt: skip


def test_columns_to_an_image() -> None:
    assert_operator(
        "Col2Im", {"x": ["n", 12, 21]}, {"i": np.array([6, 8]), "b": np.array([2, 2])}, opset=18,
        pads=[1, 0, 0, 1], strides=[2, 1], dilations=[1, 2],
    )  # fmt: skip


def test_columns_of_one_dimension() -> None:
    node = helper.make_node("Col2Im", ["x", "i", "b"], ["y"])
    constants = {"i": np.array([5]), "b": np.array([2])}
    model = model_of([node], {"x": ("float32", ["n", 4, 4])}, ["y"], constants, opset=18)
    assert_lowered(model, {"x": normal(2, 4, 4)})
