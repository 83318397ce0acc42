"""Resize in every mode against ONNX Runtime: constant scales and sizes, runtime scales, open sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.operators.resize_grid import Filter, Grid, matrix, nearest
from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.images import RNG, Size, assert_operator, normal
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of

COORDINATES = [
    "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric", "tf_crop_and_resize",
]  # fmt: skip
ROI = np.array([0, 0, 0.1, -0.2, 1, 1, 0.9, 1.1], np.float32)
IMAGE: list[Size] = ["n", 2, 5, 6]


def _resize(shape: Sequence[Size], scales: Sequence[float], opset: int = 19, **attributes: Any) -> list[str]:
    factors = np.array(scales, np.float32)
    if opset == 10:
        return assert_operator("Resize", {"x": shape}, {"s": factors}, opset=opset, batches=(1, 2), **attributes)
    roi = ROI if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize" else np.zeros(0, np.float32)
    constants = {"roi": roi, "s": factors}
    return assert_operator(
        "Resize", {"x": shape}, constants, ["x", "roi", "s"], opset=opset, batches=(1, 2), atol=1e-4, **attributes
    )


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_interpolation(mode: str, coordinates: str) -> None:
    _resize(IMAGE, [1, 1, 0.6, 2.3], mode=mode, coordinate_transformation_mode=coordinates)
    _resize(IMAGE, [1, 1, 2, 2], mode=mode, coordinate_transformation_mode=coordinates)


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_nearest(rounding: str, coordinates: str) -> None:
    _resize(IMAGE, [1, 1, 0.7, 2.6], mode="nearest", nearest_mode=rounding, coordinate_transformation_mode=coordinates)
    _resize(IMAGE, [1, 1, 2, 3], mode="nearest", nearest_mode=rounding, coordinate_transformation_mode=coordinates)


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "linear", "antialias": 1},
        {"mode": "cubic", "antialias": 1, "cubic_coeff_a": -0.5},
        {"mode": "cubic", "exclude_outside": 1},
    ],
)
def test_filters(attributes: dict[str, Any]) -> None:
    _resize(IMAGE, [1, 1, 0.6, 0.5], **attributes)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_sizes_and_axes(policy: str) -> None:
    constants = {"roi": np.zeros(0, np.float32), "sizes": np.array([9, 4])}
    assert_operator(
        "Resize", {"x": [2, 2, 5, 6]}, constants, ["x", "roi", "", "sizes"], opset=19, atol=1e-4,
        mode="linear", axes=[3, 2], keep_aspect_ratio_policy=policy,
    )  # fmt: skip


@pytest.mark.parametrize(("mode", "kind"), [("linear", "RESIZE_BILINEAR"), ("nearest", "RESIZE_NEAREST_NEIGHBOR")])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric"])
def test_whole_scales_keep_image_sizes_open(mode: str, kind: str, coordinates: str) -> None:
    rounding = {"nearest_mode": "floor"} if mode == "nearest" and coordinates == "asymmetric" else {}
    assert kind in _resize(
        ["n", 2, "h", "w"], [1, 1, 2, 3], mode=mode, coordinate_transformation_mode=coordinates, **rounding
    )


@pytest.mark.parametrize("scale", [2, 3])
def test_open_image_sizes_repeated_alike_need_no_size_at_run_time(scale: int) -> None:
    made = _resize(["n", 2, "h", "w"], [1, 1, scale, scale], mode="nearest")
    assert made == ["TRANSPOSE", "CONCATENATION", "DEPTH_TO_SPACE", "TRANSPOSE"]


def _resized_to_another(**attributes: Any) -> onnx.ModelProto:
    """An image resized to the sizes of another one, as a decoder joins its levels."""
    return model_of(
        [
            helper.make_node("Shape", ["x"], ["front"], start=0, end=2),
            helper.make_node("Shape", ["z"], ["back"], start=2, end=4),
            helper.make_node("Concat", ["front", "back"], ["s"], axis=0),
            helper.make_node("Resize", ["x", "", "", "s"], ["r"], **attributes),
            helper.make_node("Add", ["r", "z"], ["y"]),
        ],
        {"x": ("float32", ["n", 2, "h", "w"]), "z": ("float32", ["n", 2, "H", "W"])},
        ["y"],
    )


@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "asymmetric"])
def test_images_are_interpolated_to_the_open_sizes_of_another(coordinates: str) -> None:
    pairs = [((5, 6), (8, 3)), ((4, 1), (1, 7)), ((3, 3), (3, 3)), ((7, 5), (13, 19))]
    feeds = [{"x": normal(n, 2, *a), "z": normal(n, 2, *b)} for n, (a, b) in zip((1, 2, 7, 1), pairs, strict=True)]
    model = _resized_to_another(mode="linear", coordinate_transformation_mode=coordinates)
    assert "RESIZE_BILINEAR" in kinds(assert_lowered(model, *feeds, atol=1e-4).data)


@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"mode": "linear", "antialias": 1},
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        {"mode": "cubic"},
    ],
)
def test_open_sizes_between_which_grids_may_differ_are_refused(attributes: dict[str, Any]) -> None:
    """A nearest element may be the next one by a rounding; the others have grids that TFLite lacks."""
    with pytest.raises(Unsupported):
        lower(_resized_to_another(**attributes))


def test_an_image_of_which_nothing_is_left_is_refused() -> None:
    scales = {"s": np.array([1, 1, 0.5, 0.75], np.float32)}
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")
    with pytest.raises(Unsupported, match="cannot be lowered"):
        lower(model_of([node], {"x": ("float32", ["n", 2, 4, 1])}, ["y"], scales))


def test_a_grid_that_tflite_lacks_is_refused_at_open_sizes() -> None:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="cubic")
    scales = {"s": np.array([1, 1, 2, 2], np.float32)}
    with pytest.raises(Unsupported):
        lower(model_of([node], {"x": ("float32", ["n", 2, "h", "w"])}, ["y"], scales))


@pytest.mark.parametrize("shape", [["n", 2, 5], ["n", 2, 3, 4, 5]])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_one_and_three_axes(shape: list[Size], mode: str) -> None:
    _resize(shape, [1, 1] + [2] * (len(shape) - 2), mode=mode)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("factor", [2, 0.6])
def test_opset_10(mode: str, factor: float) -> None:
    _resize(IMAGE, [1, 1, factor, factor], opset=10, mode=mode)


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("coordinates", COORDINATES[:5])
def test_scales_may_be_an_input(mode: str, coordinates: str) -> None:
    if coordinates == "half_pixel_symmetric" and mode == "nearest":
        pytest.skip("ONNX Runtime computes its places in double and rounds the last digit otherwise")
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode=mode, coordinate_transformation_mode=coordinates)
    model = model_of([node], {"x": ("float32", [1, 2, 5, 6]), "s": ("float32", [4])}, ["y"])
    feeds = [{"x": normal(1, 2, 5, 6), "s": np.array([1, 1, *factors], np.float32)} for factors in ((0.7, 2.3), (2, 1))]
    assert_lowered(model, *feeds, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_integers_are_taken_by_place(dtype: str) -> None:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest")
    scales = {"s": np.array([1, 1, 2, 2], np.float32)}
    model = model_of([node], {"x": (dtype, ["n", 2, 3, 4])}, ["y"], scales)
    content = RNG.integers(0, 100, (2, 2, 3, 4)).astype(dtype)
    if dtype == "int64":  # ONNX Runtime resizes no int64
        assert "GATHER" in kinds(lower(model).data)
    else:
        assert_lowered(model, {"x": content})


@given(
    size=st.integers(1, 12), out=st.integers(1, 24), mode=st.sampled_from(["linear", "cubic"]), antialias=st.booleans(),
    coordinates=st.sampled_from(COORDINATES[:5]), exclude=st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_weights_of_each_output_sum_to_one(
    size: int, out: int, mode: str, antialias: bool, coordinates: str, exclude: bool
) -> None:
    """A constant image stays constant, whatever the mode."""
    made = matrix(Grid(size, out, out / size, coordinates), Filter(mode, -0.75, antialias, exclude))
    assert made.shape == (out, size)
    np.testing.assert_allclose(made.sum(axis=1), 1, atol=1e-6)


@given(size=st.integers(1, 12), out=st.integers(1, 24), coordinates=st.sampled_from(COORDINATES[:5]))
@settings(max_examples=150, deadline=None)
def test_nearest_places_lie_inside_and_in_order(size: int, out: int, coordinates: str) -> None:
    places = nearest(Grid(size, out, out / size, coordinates), "round_prefer_floor")
    assert places.min() >= 0
    assert places.max() < size
    assert (np.diff(places) >= 0).all()
