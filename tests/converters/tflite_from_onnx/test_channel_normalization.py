"""BatchNormalization, InstanceNormalization, LRN."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.images import Size, assert_operator, normal
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of

SHAPES: list[list[Size]] = [["n", 5, 4], ["n", 5, 4, 3], ["n", 5, 2, 4, 3]]


@pytest.mark.parametrize("shape", [["n", 5], *SHAPES])
@pytest.mark.parametrize("opset", [7, 9, 14, 15])
def test_batch_normalization_is_a_scale_and_a_shift(shape: list[Size], opset: int) -> None:
    made = assert_operator("BatchNormalization", {"x": shape}, {key: np.abs(normal(5)) for key in "sbmv"}, opset=opset)
    assert made == ["MUL", "ADD"]


def test_statistics_may_be_inputs() -> None:
    """Squared, for a variance is not below 0."""
    model_inputs = {"x": ("float32", ["n", 5, 4, 3]), **{key: ("float32", [5]) for key in "sbmr"}}
    nodes = [
        helper.make_node("Mul", ["r", "r"], ["v"]),
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"]),
    ]
    feeds = {"x": normal(2, 5, 4, 3), **{key: normal(5) + 2 for key in "sbmr"}}
    assert_lowered(model_of(nodes, model_inputs, ["y"]), feeds, rtol=1e-4, atol=1e-5)


def test_training_is_refused() -> None:
    node = helper.make_node("BatchNormalization", ["x", *"sbmv"], ["y", "a", "c"], training_mode=1)
    model = model_of(
        [node], {"x": ("float32", ["n", 5, 4])}, ["y"], {key: np.abs(normal(5)) for key in "sbmv"}, opset=15
    )
    with pytest.raises(Unsupported) as refusal:
        lower(model)
    assert "training" in (refusal.value.why or "")


@pytest.mark.parametrize("shape", SHAPES)
def test_instance_normalization(shape: list[Size]) -> None:
    assert_operator("InstanceNormalization", {"x": shape}, {"s": normal(5), "b": normal(5)})


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_local_response(size: int) -> None:
    """ONNX Runtime has odd sizes alone; onnx's reference has all, and is right where batch and channels are equally many."""
    even = size % 2 == 0
    shape: list[Size] = ["n", 7, 4, 3]
    batches = (7,) if even else (1, 2, 7)
    made = assert_operator(
        "LRN", {"x": shape}, batches=batches, by_reference=even, size=size, alpha=0.1, beta=0.6, bias=1.2
    )
    assert ("LOCAL_RESPONSE_NORMALIZATION" in made) != even


def test_behind_a_convolution_it_goes_into_its_weights() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", *"sbmv"], ["n"]),
        helper.make_node("Relu", ["n"], ["y"]),
    ]
    constants = {"w": normal(5, 3, 3, 3), **{key: np.abs(normal(5)) for key in "sbmv"}}
    model = model_of(nodes, {"x": ("float32", ["batch", 3, 8, 8])}, ["y"], constants)
    assert kinds(lower(model).data) == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]
