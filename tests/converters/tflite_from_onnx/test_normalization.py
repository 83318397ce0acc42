"""Softmax and normalisations: any axis, older opsets, open batches, channels last in memory, rows of zeros and of -inf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite

RNG = np.random.default_rng(0)


def _floats(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("opset", [7, 11, 13, 21])
@pytest.mark.parametrize("axis", [None, 1, 2, 3])
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_softmax_over_one_axis_or_all_behind_it(op: str, axis: int | None, opset: int) -> None:
    attributes = {} if axis is None else {"axis": axis}
    model = model_of(
        [helper.make_node(op, ["x"], ["y"], **attributes)], {"x": ("float32", ["batch", 3, 4, 2])}, ["y"], opset=opset
    )
    assert_lowered(model, *[{"x": _floats(n, 3, 4, 2)} for n in (1, 2, 7)])


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 3, -1])
def test_softmax_of_seven_dimensions(op: str, axis: int) -> None:
    """XNNPACK would not load a model that has one."""
    shape = ["n", 2, 1, 3, 2, 1, 2]
    model = model_of([helper.make_node(op, ["x"], ["y"], axis=axis)], {"x": ("float32", shape)}, ["y"])
    rng = np.random.default_rng(0)
    assert_lowered(model, *({"x": rng.normal(size=(n, *shape[1:])).astype(np.float32)} for n in (1, 2, 7)))


def test_softmax_of_a_classifier_before_opset_13_is_one_operator() -> None:
    model = model_of(
        [helper.make_node("Softmax", ["x"], ["y"], axis=1)], {"x": ("float32", ["batch", 9, 1, 1])}, ["y"], opset=11
    )
    assert kinds(assert_lowered(model, {"x": _floats(3, 9, 1, 1)}).data).count("SOFTMAX") == 1


def test_softmax_leaves_out_what_is_masked_with_minus_infinity() -> None:
    model = model_of(
        [helper.make_node("Add", ["x", "mask"], ["m"]), helper.make_node("Softmax", ["m"], ["y"])],
        {"x": ("float32", ["batch", 4])},
        ["y"],
        {"mask": np.array([0, -np.inf, 0, -np.inf], np.float32)},
    )
    assert_lowered(model, *[{"x": 100 * _floats(n, 4)} for n in (1, 2, 7)])


def test_softmax_over_channels_stays_in_the_layout_of_a_convolution() -> None:
    model = model_of(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Softmax", ["c"], ["y"], axis=1)],
        {"x": ("float32", ["batch", 2, 4, 4])},
        ["y"],
        {"w": _floats(3, 2, 2, 2)},
    )
    made = kinds(assert_lowered(model, *[{"x": _floats(n, 2, 4, 4)} for n in (1, 2, 7)], atol=1e-5).data)
    assert made.count("TRANSPOSE") == 2  # at the borders


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("axis", [1, -1])
def test_layer_normalization_and_its_statistics(axis: int, shift: bool, outputs: int) -> None:
    shape = (4, 6) if axis == 1 else (6,)
    constants = {"g": _floats(*shape), **({"b": _floats(*shape)} if shift else {})}
    node = helper.make_node("LayerNormalization", ["x", *constants], ["y", "mean", "scale"][:outputs], axis=axis)
    model = model_of([node], {"x": ("float32", ["batch", 4, 6])}, ["y", "mean", "scale"][:outputs], constants)
    assert_lowered(model, *[{"x": 3 * _floats(n, 4, 6) + 1} for n in (1, 2, 7)], rtol=1e-4, atol=1e-5)


def test_statistics_of_half_floats_are_floats() -> None:
    """They can be computed with what is float32."""
    nodes = [
        helper.make_node("LayerNormalization", ["x", "g"], ["n", "mean"]),
        helper.make_node("Add", ["mean", "one"], ["y"]),
    ]
    constants = {"g": np.ones(4, np.float16), "one": np.array(1, np.float32)}
    model = model_of(nodes, {"x": ("float16", ["batch", 4])}, ["y"], constants)
    x = _floats(3, 4).astype(np.float16).astype(np.float32)
    made = run_tflite(lower(model).data, {"x": x})["y"]  # ONNX Runtime has no kernel for it
    np.testing.assert_allclose(made, x.mean(-1, keepdims=True) + 1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [1, -1])
def test_rms_normalization(axis: int) -> None:
    node = helper.make_node("RMSNormalization", ["x", "g"], ["y"], axis=axis)
    shape = (4, 6) if axis == 1 else (6,)
    model = model_of([node], {"x": ("float32", ["batch", 4, 6])}, ["y"], {"g": _floats(*shape)}, opset=23)
    assert_lowered(model, *[{"x": _floats(n, 4, 6)} for n in (1, 2, 7)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("behind", [False, True])
def test_group_normalization(opset: int, behind: bool) -> None:
    """Scale and bias are a group's in opset 18 and a channel's from 21 on; behind a convolution channels are last."""
    width = 2 if opset == 18 else 6
    constants = {"s": _floats(width), "b": _floats(width)}
    nodes = [helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2)]
    channels = 6
    if behind:
        constants["w"] = _floats(6, 3, 2, 2)
        nodes = [
            helper.make_node("Conv", ["x", "w"], ["c"]),
            helper.make_node("GroupNormalization", ["c", "s", "b"], ["y"], num_groups=2),
        ]
        channels = 3
    model = model_of(nodes, {"x": ("float32", ["batch", channels, 4, 4])}, ["y"], constants, opset)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, ["batch", 6, None, None]))  # onnx infers none
    lowered = assert_lowered(model, *[{"x": _floats(n, channels, 4, 4)} for n in (1, 2, 7)], rtol=1e-4, atol=1e-4)
    assert kinds(lowered.data).count("TRANSPOSE") == (2 if behind else 0)


@pytest.mark.parametrize("axes", [[0, 2, 3], [0, 2], [1, 3]])
def test_mean_variance_normalization(axes: list[int]) -> None:
    node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"], axes=axes)
    model = model_of([node], {"x": ("float32", ["batch", 3, 4, 4])}, ["y"])
    assert_lowered(model, *[{"x": _floats(n, 3, 4, 4)} for n in (2, 7)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("p", [1, 2])
def test_a_row_of_zeros_stays_one_when_divided_by_its_norm(p: int, axis: int) -> None:
    model = model_of(
        [helper.make_node("LpNormalization", ["x"], ["y"], p=p, axis=axis)], {"x": ("float32", [3, 4, 3])}, ["y"]
    )
    x = _floats(3, 4, 3)
    x[1] = 0
    x[:, 2] = 0
    x[..., 1] = 0
    assert_lowered(model, {"x": x})
