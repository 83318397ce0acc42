"""Convolutions: every geometry as ONNX Runtime computes it, padding left to TFLite only where it is TFLite's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.operators.windows import Window
from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.images import assert_operator, normal
from tests.converters.tflite_from_onnx.lowered import assert_lowered, lower, model_of

IMAGE = ["n", 4, 9, 8]


@pytest.mark.parametrize(
    ("kernel", "attributes", "kind"),
    [
        ((5, 4, 3, 3), {}, "CONV_2D"),
        ((5, 4, 3, 3), {"pads": [1, 1, 1, 1]}, "CONV_2D"),
        ((5, 4, 3, 2), {"pads": [0, 1, 2, 0], "strides": [2, 1], "dilations": [1, 2]}, "CONV_2D"),
        ((6, 2, 3, 3), {"pads": [1, 1, 1, 1], "group": 2}, "CONV_2D"),
        ((4, 1, 3, 3), {"pads": [1, 1, 1, 1], "group": 4}, "DEPTHWISE_CONV_2D"),
        ((8, 1, 3, 3), {"strides": [2, 1], "group": 4}, "DEPTHWISE_CONV_2D"),
        ((8, 1, 3, 3), {"pads": [2, 2, 2, 2], "dilations": [2, 2], "group": 4}, "DEPTHWISE_CONV_2D"),
        ((6, 4, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, "CONV_2D"),
        ((6, 4, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, "CONV_2D"),
        ((6, 4, 3, 3), {"auto_pad": "VALID", "dilations": [2, 2]}, "CONV_2D"),
    ],
)
def test_two_dimensions(kernel: tuple[int, ...], attributes: dict[str, Any], kind: str) -> None:
    made = assert_operator("Conv", {"x": IMAGE}, {"w": normal(*kernel), "b": normal(kernel[0])}, **attributes)
    assert made.count(kind) == 1


@pytest.mark.parametrize("group", [1, 2, 4])
def test_weights_may_be_an_input(group: int) -> None:
    assert_operator("Conv", {"x": IMAGE, "w": [4, 4 // group, 3, 3], "b": [4]}, group=group, pads=[1, 1, 1, 1])


@pytest.mark.parametrize(
    ("shape", "kernel", "attributes"),
    [
        (["n", 4, 9], (6, 4, 3), {"pads": [1, 1]}),
        (["n", 4, "length"], (6, 4, 3), {"pads": [2, 0], "dilations": [2]}),
        (["n", 4, 9], (8, 1, 3), {"group": 4, "strides": [2]}),
        (["n", 4, 5, 6, 7], (6, 4, 3, 3, 3), {"pads": [1] * 6}),
        (
            ["n", 4, 5, 6, 7],
            (6, 4, 3, 2, 3),
            {"pads": [1, 0, 1, 0, 0, 0], "strides": [2, 1, 2], "dilations": [1, 2, 1]},
        ),
        (["n", 4, 5, 6, 7], (6, 2, 3, 2, 3), {"group": 2}),
    ],
)
def test_one_and_three_dimensions(shape: Sequence[int | str], kernel: tuple[int, ...], attributes: Any) -> None:
    assert_operator("Conv", {"x": shape}, {"w": normal(*kernel), "b": normal(kernel[0])}, **attributes)


@pytest.mark.parametrize(
    "attributes",
    [{"pads": [1] * 4}, {"pads": [1] * 4, "strides": [2, 2]}, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}],
)
def test_open_image_sizes(attributes: dict[str, Any]) -> None:
    model = model_of(
        [helper.make_node("Conv", ["x", "w"], ["y"], **attributes)],
        {"x": ("float32", ["n", 4, "h", "w"])},
        ["y"],
        {"w": normal(5, 4, 3, 3)},
    )
    assert_lowered(model, {"x": normal(1, 4, 8, 9)}, {"x": normal(2, 4, 11, 6)}, atol=2e-5)


def test_padding_that_depends_on_an_open_size_is_refused() -> None:
    model = model_of(
        [helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[2, 2])],
        {"x": ("float32", ["n", 4, "h", "w"])},
        ["y"],
        {"w": normal(5, 4, 3, 3)},
    )
    with pytest.raises(Unsupported, match="cannot be lowered"):
        lower(model)


@given(
    size=st.integers(1, 30), kernel=st.integers(1, 5), stride=st.integers(1, 4), dilation=st.integers(1, 3),
    begin=st.integers(0, 4), end=st.integers(0, 4), ceil=st.booleans(),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_window_that_says_same_pads_and_counts_as_tflite_does(
    size: int, kernel: int, stride: int, dilation: int, begin: int, end: int, ceil: bool
) -> None:
    window = Window(size, kernel, stride, dilation, begin, end, ceil)
    if window.reach > size + begin + end or not window.is_same():
        return
    out = -(-size // stride)  # TFLite: ceil(size / stride), half of what is missing before
    missing = max((out - 1) * stride + window.reach - size, 0)
    assert window.out() == out
    assert window.begin == missing // 2
    assert ceil or window.end == missing - missing // 2


@given(
    size=st.integers(1, 20),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    begin=st.integers(0, 3),
    end=st.integers(0, 3),
)
@settings(max_examples=300, deadline=None)
def test_padding_written_out_gives_as_many_outputs_with_valid(
    size: int, kernel: int, stride: int, begin: int, end: int
) -> None:
    window = Window(size, kernel, stride, 1, begin % kernel, end % kernel, ceil=True)
    if size + (window.begin or 0) + (window.end or 0) < kernel:
        return
    padded = window.padded()
    assert padded is not None and padded.begin is not None and padded.end is not None
    assert (size + padded.begin + padded.end - kernel) // stride + 1 == window.out()


@pytest.mark.parametrize(
    ("size", "stride", "pad", "output_padding", "dilation"),
    [
        (2, 2, 0, 0, 1), (3, 2, 1, 1, 1), (4, 2, 1, 0, 1), (3, 1, 1, 0, 1), (3, 2, 0, 0, 1), (5, 2, 2, 1, 1), (3, 2, 1, 1, 2),
        (1, 2, 0, 1, 1), (2, 3, 0, 2, 1), (4, 4, 3, 0, 1),
    ],
)  # fmt: skip
def test_transposed(size: int, stride: int, pad: int, output_padding: int, dilation: int) -> None:
    made = assert_operator(
        "ConvTranspose", {"x": ["n", 4, 5, 6]}, {"w": normal(4, 3, size, size), "b": normal(3)}, batches=(1, 2),
        strides=[stride] * 2, pads=[pad] * 4, output_padding=[output_padding] * 2, dilations=[dilation] * 2,
    )  # fmt: skip
    assert made.count("CONV_2D") == 1


@pytest.mark.parametrize(
    ("shape", "kernel", "attributes"),
    [
        (["n", 4, 5, 6], (4, 3, 3, 2), {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 2]}),
        (["n", 4, 5, 6], (4, 3, 3, 3), {"strides": [2, 2], "group": 2}),
        (["n", 4, 5, 6], (4, 1, 3, 3), {"strides": [2, 2], "group": 4}),
        (["n", 4, 5, 6], (4, 3, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        (["n", 4, 5, 6], (4, 3, 4, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
        (["n", 4, 5, 6], (4, 3, 3, 3), {"strides": [3, 2], "output_shape": [10, 8]}),
        (["n", 4, 9], (4, 3, 4), {"strides": [2], "pads": [1, 1], "group": 2}),
        (["n", 4, 3, 4, 5], (4, 3, 2, 2, 2), {"strides": [2, 2, 2]}),
        (["n", 4, 3, 4, 5], (4, 3, 3, 2, 3), {"strides": [2, 1, 2], "pads": [1, 0, 1, 1, 0, 1], "group": 2}),
        (["n", 4, "h", "w"], (4, 3, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ],
)
def test_transposed_in_other_geometries(shape: Sequence[int | str], kernel: tuple[int, ...], attributes: Any) -> None:
    assert_operator("ConvTranspose", {"x": shape}, {"w": normal(*kernel)}, batches=(1, 2), **attributes)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER"])
def test_transposed_with_a_stride_beyond_the_kernel_and_automatic_padding_is_refused(auto_pad: str) -> None:
    model = model_of(
        [helper.make_node("ConvTranspose", ["x", "w"], ["y"], auto_pad=auto_pad, strides=[3, 2])],
        {"x": ("float32", ["n", 4, 5, 6])}, ["y"], {"w": normal(4, 3, 2, 2)},
    )  # fmt: skip
    with pytest.raises(Unsupported, match="cannot be lowered"):
        lower(model)


def test_transposed_with_weights_that_are_an_input() -> None:
    assert_operator("ConvTranspose", {"x": ["n", 4, 5, 6], "w": [4, 3, 3, 3]}, strides=[2, 2], pads=[1] * 4)


def test_integers_are_convolved_exactly_whatever_their_sums() -> None:
    rng = np.random.default_rng(0)
    node = helper.make_node("ConvInteger", ["x", "w", "zero"], ["y"], pads=[1, 1, 1, 1])
    given_inputs = {"x": ("uint8", ["n", 3, 5, 6])}
    few = {"w": rng.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8), "zero": np.array(7, np.uint8)}
    feeds = [{"x": rng.integers(0, 256, (n, 3, 5, 6)).astype(np.uint8)} for n in (1, 2)]
    assert_lowered(model_of([node], given_inputs, ["y"], few), *feeds)
    many = {**few, "w": np.full((4, 300, 3, 3), 127, np.int8)}
    assert_lowered(
        model_of([node], {"x": ("uint8", ["n", 300, 5, 6])}, ["y"], many), {"x": np.full((2, 300, 5, 6), 255, np.uint8)}
    )


def test_channels_of_which_inference_lost_count_are_those_of_the_kernel() -> None:
    """Padding that the model computes, as torch writes a causal convolution of open length, leaves every size open."""
    model = model_of(
        [
            helper.make_node("Pad", ["x", "pads"], ["p"], mode="reflect"),
            helper.make_node("Conv", ["p", "w"], ["y"], kernel_shape=[3], group=2),
        ],
        {"x": ("float32", ["n", 4, "t"]), "pads": ("int64", [6])},
        ["y"],
        {"w": normal(6, 2, 3)},
    )
    feeds = [
        {"x": normal(n, 4, t), "pads": np.array([0, 0, first, 0, 0, 1])}
        for n, t, first in ((1, 5, 2), (2, 8, 0), (7, 3, 1))
    ]
    assert_lowered(model, *feeds, atol=1e-5)


def test_channels_of_an_input_that_are_open_are_refused() -> None:
    """Another number of them would count as groups in TFLite."""
    with pytest.raises(Unsupported) as refusal:
        lower(
            model_of(
                [helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3])],
                {"x": ("float32", ["n", "c", 5])},
                ["y"],
                {"w": normal(6, 2, 3)},
            )
        )
    assert "channels are open" in refusal.value.why
