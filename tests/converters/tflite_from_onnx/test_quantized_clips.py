"""A QUANTIZE in front of what clips, pads or takes the largest: the same codes with fewer float operators."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import kinds, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.test_quantized import as_written

_N = helper.make_node
_QDQ = [_N("QuantizeLinear", ["m", "s", "z"], ["q"]), _N("DequantizeLinear", ["q", "s", "z"], ["y"])]
_SHAPE = ("float32", [2, 3, 8, 8])


def _model(nodes: list[object], scale: float, zero: int, **constants: object):  # type: ignore[no-untyped-def]
    given = {"s": np.array(scale, np.float32), "z": np.array(zero, np.int8), **constants}
    return model_of([*nodes, *_QDQ], {"x": _SHAPE}, ["y"], given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "scale", "zero", "gone"),
    [
        ([_N("Relu", ["x"], ["m"])], 0.05, -128, "RELU"),
        ([_N("Max", ["c", "x"], ["m"])], 0.05, -120, "clip"),
        ([_N("Min", ["x", "d"], ["m"])], 0.02, 100, "clip"),
    ],
)
def test_codes_that_end_within_a_clip_saturate_by_themselves(
    nodes: list[object], scale: float, zero: int, gone: str
) -> None:
    """The clip goes; the codes are those of ONNX Runtime, far outside as well."""
    model = _model(nodes, scale, zero, c=np.array(-0.4, np.float32), d=np.array(0.55, np.float32))
    x = (np.random.default_rng(0).normal(0, 3, _SHAPE[1])).astype(np.float32)
    x.flat[:2] = 1e9, -1e9
    data = lower(model).data
    assert "RELU" not in kinds(data) if gone == "RELU" else len(kinds(data)) <= 4  # the guard, QUANTIZE, DEQUANTIZE
    for delegate in (True, False):
        expected = as_written(model).run(None, {"x": x})[0]
        assert np.abs(run_tflite(data, {"x": x}, delegate)["y"] - expected).max() <= scale * 1.01  # halves
        assert np.mean(np.abs(run_tflite(data, {"x": x}, delegate)["y"] - expected) > 1e-5) <= 0.01


def test_a_clip_inside_the_codes_stays() -> None:
    model = _model([_N("Max", ["x", "c"], ["m"])], 0.05, 0, c=np.array(-0.4, np.float32))
    x = np.random.default_rng(0).normal(0, 3, _SHAPE[1]).astype(np.float32)
    expected = as_written(model).run(None, {"x": x})[0]
    np.testing.assert_allclose(run_tflite(lower(model).data, {"x": x})["y"], expected, atol=0.051)
    assert expected.min() >= -0.41


@pytest.mark.parametrize(
    "node",
    [
        _N("Pad", ["x", "p"], ["m"]),
        _N("MaxPool", ["x"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        _N("Pad", ["x", "p"], ["m"], mode="reflect"),
    ],
    ids=["zeros", "pool", "reflect"],
)
def test_padding_and_pools_move_codes(node: object) -> None:
    """QUANTIZE goes in front: they run on int8, and zeros have the code of 0."""
    pads = {"p": np.array([0, 0, 1, 2, 0, 0, 2, 1], np.int64)} if node.op_type == "Pad" else {}  # type: ignore[attr-defined]
    model = _model([node], 0.05, 7, **pads)
    x = np.random.default_rng(0).normal(0, 3, _SHAPE[1]).astype(np.float32)
    expected = as_written(model).run(None, {"x": x})[0]
    data = lower(model).data
    order = kinds(data)
    assert order.index("QUANTIZE") < next(place for place, kind in enumerate(order) if "PAD" in kind or "POOL" in kind)
    for delegate in (True, False):
        found = run_tflite(data, {"x": x}, delegate)["y"]
        assert np.mean(np.abs(found - expected) > 1e-6) <= 0.01
