"""QuantizeLinear and DequantizeLinear, and what lies between them, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from onnx import helper

from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.quantized_single import (
    BATCHES,
    assert_steps,
    draw_codes,
    draw_floats,
)
from tests.converters.tflite_from_onnx.test_quantized import as_written

Array = NDArray[Any]
_N = helper.make_node
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_codes_that_are_the_answer_are_exact(dtype: str) -> None:
    """Halves go to even, numbers outside end at the limits, with XNNPACK and without."""
    x = np.concatenate([np.arange(-40, 40) * 0.25 + 0.125, [1e9, -1e9, 3e38, -3e38, np.inf, -np.inf]]).astype(
        np.float32
    )
    model = model_of(
        [_N("QuantizeLinear", ["x", "s", "z"], ["y"])], {"x": ("float32", ["n"])}, ["y"],
        {"s": np.array(0.25, np.float32), "z": np.array(3, dtype)},
    )  # fmt: skip
    assert_lowered(model, {"x": x}, {"x": x[:1]})


@pytest.mark.parametrize(
    ("dtype", "zero"), [("int8", -7), ("uint8", 131), ("int16", 0), ("int16", 5), ("uint16", 40000)]
)
def test_rounding_to_a_grid_and_back(dtype: str, zero: int) -> None:
    """QuantizeLinear and DequantizeLinear of every type of codes; large numbers stay the largest."""
    x = np.concatenate([draw_floats(50, scale=4), [1e9, -1e9, 3e38]]).astype(np.float32).reshape(1, -1)
    nodes = [_N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("DequantizeLinear", ["q", "s", "z"], ["y"])]
    constants: dict[str, Array] = {"s": np.array(0.03, np.float32), "z": np.array(zero, dtype)}
    assert_lowered(
        model_of(nodes, {"x": ("float32", ["n", 53])}, ["y"], constants), {"x": x}, {"x": np.tile(x, (7, 1))}
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_scales_of_an_axis_or_of_blocks(dtype: str) -> None:
    """Activations with several scales are computed with, exactly."""
    scale, zero = np.array([0.1, 0.2, 0.5], np.float32), np.array([1, 2, 3], dtype)
    places: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
        ((2, 3, 4), {}), ((3, 5), {"axis": 0}), ((2, 2, 3), {"axis": -1}),
    )  # fmt: skip
    for shape, attributes in places:
        nodes = [
            _N("QuantizeLinear", ["x", "s", "z"], ["q"], **attributes),
            _N("DequantizeLinear", ["q", "s", "z"], ["y"], **attributes),
        ]
        model = model_of(nodes, {"x": ("float32", shape)}, ["q", "y"], {"s": scale, "z": zero})
        assert_lowered(model, {"x": draw_floats(*shape)})
    blocks = np.abs(draw_floats(2, 2, 3)) + 0.1
    nodes = [
        _N("QuantizeLinear", ["x", "s"], ["q"], axis=1, block_size=3, output_dtype=helper.np_dtype_to_tensor_dtype(np.dtype(dtype))),
        _N("DequantizeLinear", ["q", "s"], ["y"], axis=1, block_size=3),
    ]  # fmt: skip
    assert_lowered(model_of(nodes, {"x": ("float32", (2, 5, 3))}, ["y"], {"s": blocks}), {"x": draw_floats(2, 5, 3)})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
def test_integers_from_outside_are_dequantized(dtype: str) -> None:
    """An input of codes, with one scale or one for each channel."""
    x = draw_codes(dtype, 7, 3, 5) if dtype != "int32" else RANDOM.integers(-9999, 9999, (7, 3, 5)).astype(np.int32)
    for shape in ((), (3,)):
        scale = np.asarray(np.abs(draw_floats(*shape)) + 0.01, np.float32)
        zero = np.zeros(shape, dtype) if dtype in ("int16", "int32") else np.full(shape, 9, dtype)
        model = model_of(
            [_N("DequantizeLinear", ["x", "s", "z"], ["y"])],
            {"x": (dtype, ["n", 3, 5])},
            ["y"],
            {"s": scale, "z": zero},
        )
        assert_lowered(model, *({"x": x[:batch]} for batch in BATCHES))


def test_a_model_between_codes_has_them_at_its_border() -> None:
    """int8 or uint8 in and out: the tensors of the border carry the scales, and no float is left inside."""
    for dtype, zero in (("int8", -3), ("uint8", 125)):
        nodes = [
            _N("DequantizeLinear", ["x", "s", "z"], ["a"]), _N("DequantizeLinear", ["w", "t"], ["b"]),
            _N("MatMul", ["a", "b"], ["c"]), _N("QuantizeLinear", ["c", "u", "z"], ["y"]),
        ]  # fmt: skip
        constants: dict[str, Array] = {
            "s": np.array(0.02, np.float32), "z": np.array(zero, dtype), "u": np.array(0.05, np.float32),
            "t": np.array(0.01, np.float32), "w": draw_codes("int8", 6, 4),
        }  # fmt: skip
        model = model_of(nodes, {"x": (dtype, ["n", 6])}, ["y"], constants)
        data = lower(model).data
        assert not {"DEQUANTIZE", "CAST"} & set(kinds(data))
        interpreter = Interpreter(model_content=data)
        borders = [*interpreter.get_input_details(), *interpreter.get_output_details()]
        assert [(border["dtype"], border["quantization"]) for border in borders] == [
            (np.dtype(dtype).type, (pytest.approx(0.02), zero)), (np.dtype(dtype).type, (pytest.approx(0.05), zero)),
        ]  # fmt: skip
        assert_steps(model, draw_codes(dtype, 7, 6))


def test_operators_that_move_elements_move_codes() -> None:
    """Pools, reshapes, padding and joins of codes themselves, as QOperator models have them."""
    for dtype in ("int8", "uint8"):
        nodes = [
            _N("QuantizeLinear", ["x", "s", "z"], ["q"]),
            _N("MaxPool", ["q"], ["p"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
            _N("Pad", ["p", "pads", "z"], ["d"]), _N("Transpose", ["d"], ["t"], perm=[0, 2, 3, 1]),
            _N("Concat", ["t", "t"], ["c"], axis=3), _N("Reshape", ["c", "shape"], ["r"]),
            _N("Slice", ["r", "starts", "ends", "axes"], ["e"]), _N("DequantizeLinear", ["e", "s", "z"], ["y"]),
        ]  # fmt: skip
        constants: dict[str, Array] = {
            "s": np.array(0.02, np.float32), "z": np.array(40, dtype), "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2]),
            "shape": np.array([0, 5, -1]), "starts": np.array([1]), "ends": np.array([4]), "axes": np.array([1]),
        }  # fmt: skip
        model = model_of(nodes, {"x": ("float32", ["n", 2, 4, 3])}, ["y", "e"], constants)
        data = assert_lowered(model, *({"x": draw_floats(batch, 2, 4, 3)} for batch in BATCHES)).data
        assert kinds(data).count("DEQUANTIZE") == 1


def test_padding_codes_with_another_number_than_zero() -> None:
    nodes = [
        _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("Pad", ["q", "pads", "v"], ["p"]),
        _N("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]  # fmt: skip
    constants: dict[str, Array] = {
        "s": np.array(0.02, np.float32), "z": np.array(40, np.uint8), "v": np.array(7, np.uint8),
        "pads": np.array([0, 1, 0, 2]),
    }  # fmt: skip
    model = model_of(nodes, {"x": ("float32", ["n", 3])}, ["y"], constants)
    assert_lowered(model, *({"x": draw_floats(batch, 3)} for batch in BATCHES))


def test_integer_arithmetic_on_codes_is_exact() -> None:
    """Codes that are added and compared as integers, ties included."""
    nodes = [
        _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("Cast", ["q"], ["i"], to=onnx.TensorProto.INT32),
        _N("Mul", ["i", "i"], ["y"]),
    ]  # fmt: skip
    constants: dict[str, Array] = {"s": np.array(0.5, np.float32), "z": np.array(2, np.uint8)}
    model = model_of(nodes, {"x": ("float32", ["n"])}, ["y"], constants)
    assert_lowered(model, {"x": (np.arange(-20, 200) * 0.25).astype(np.float32)})


def test_asymmetric_weights_run_on_bytes_or_are_moved() -> None:
    """A zero point that the codes have room for goes away; else the kernel for uint8 takes it."""
    for zero, low, high, dtype in ((3, -100, 100, "int8"), (100, 0, 255, "uint8")):
        w = RANDOM.integers(low, high + 1, (4, 3, 3, 3)).astype(dtype)
        w.flat[:2] = low, high
        nodes = [
            _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("DequantizeLinear", ["q", "s", "z"], ["a"]),
            _N("DequantizeLinear", ["w", "t", "wz"], ["b"]), _N("Conv", ["a", "b"], ["c"]),
            _N("QuantizeLinear", ["c", "u", "z"], ["d"]), _N("DequantizeLinear", ["d", "u", "z"], ["y"]),
        ]  # fmt: skip
        constants: dict[str, Array] = {
            "s": np.array(0.02, np.float32), "z": np.array(120, np.uint8), "u": np.array(0.1, np.float32), "w": w,
            "t": np.array(0.01, np.float32), "wz": np.array(zero, dtype),
        }  # fmt: skip
        model = model_of(nodes, {"x": ("float32", ["n", 3, 5, 6])}, ["y"], constants)
        feeds = [{"x": draw_floats(batch, 3, 5, 6)} for batch in BATCHES]
        data = assert_lowered(model, *feeds, rtol=0, atol=0.101).data
        assert kinds(data).count("DEQUANTIZE") == 1


def test_a_float_result_that_others_read_stays_float() -> None:
    """An int8 kernel would round what ONNX does not."""
    nodes = [
        _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("DequantizeLinear", ["q", "s", "z"], ["a"]),
        _N("Add", ["a", "a"], ["b"]), _N("QuantizeLinear", ["b", "u", "z"], ["c"]),
        _N("DequantizeLinear", ["c", "u", "z"], ["y"]),
    ]  # fmt: skip
    constants: dict[str, Array] = {
        "s": np.array(0.01, np.float32),
        "z": np.array(0, np.int8),
        "u": np.array(0.5, np.float32),
    }
    model = model_of(nodes, {"x": ("float32", ["n", 3])}, ["y", "b"], constants)
    data = lower(model).data
    x = draw_floats(7, 3, scale=0.3)
    for delegate in (True, False):
        codes = np.clip(np.rint(x / np.float32(0.01)), -128, 127)
        np.testing.assert_allclose(run_tflite(data, {"x": x}, delegate)["b"], 2 * codes * 0.01, rtol=1e-6)


def test_scales_no_kernel_takes_leave_the_operator_float() -> None:
    """A sum whose operands are a thousand times finer than its result."""
    nodes = [
        _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("DequantizeLinear", ["q", "s", "z"], ["a"]),
        _N("Mul", ["a", "a"], ["b"]), _N("QuantizeLinear", ["b", "u", "z"], ["c"]),
        _N("DequantizeLinear", ["c", "u", "z"], ["y"]),
    ]  # fmt: skip
    constants: dict[str, Array] = {
        "s": np.array(30, np.float32),
        "z": np.array(0, np.int8),
        "u": np.array(1.5, np.float32),
    }
    model = model_of(nodes, {"x": ("float32", ["n", 3])}, ["y"], constants)
    assert_lowered(model, {"x": draw_floats(7, 3, scale=100)}, rtol=0, atol=1.6)


def test_a_number_that_is_a_code_is_computed_with_beforehand() -> None:
    """A constant of rank 0 behind DequantizeLinear, read by an operator that nothing else feeds."""
    nodes = [
        helper.make_node("DequantizeLinear", ["code", "scale"], ["number"]),
        helper.make_node("Sqrt", ["number"], ["root"]),
        helper.make_node("Mul", ["x", "root"], ["y"]),
    ]
    constants = {"code": np.array(64, np.int8), "scale": np.array(0.25, np.float32)}
    model = model_of(nodes, {"x": ("float32", ["batch", 4])}, ["y"], constants)
    made = assert_lowered(model, {"x": np.arange(4, dtype=np.float32)[None]})
    assert kinds(made.data) == ["MUL"]


@pytest.mark.parametrize("bias", [0.5, 0.0])
def test_a_channel_whose_weights_are_all_but_nothing_is_on_codes(bias: float) -> None:
    """Channels that training has switched off: in steps of their own the bias would outgrow int32, and XNNPACK refuses the factor."""
    weights = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    scales = np.array([1e-11, 0.004, 0.002, 1e-8], np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["w", "t"], ["f"], axis=0),
        helper.make_node("Conv", ["a", "f", "b"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["y"]),
    ]
    constants: dict[str, Array] = {
        "s": np.array(0.02, np.float32), "z": np.array(0, np.int8), "w": weights, "t": scales,
        "b": np.array([bias, 0.1, 0.2, -bias], np.float32),
    }  # fmt: skip
    model = model_of(nodes, {"x": ("float32", ["n", 3, 6, 6])}, ["y"], constants)
    data, x = lower(model).data, draw_floats(2, 3, 6, 6)
    assert kinds(data)[1:] == ["QUANTIZE", "TRANSPOSE", "CONV_2D", "TRANSPOSE", "DEQUANTIZE"]  # behind a bound
    expected = as_written(model).run(["y"], {"x": x})[0]  # ONNX Runtime's own fused convolution overflows
    for delegate in (True, False):
        np.testing.assert_allclose(run_tflite(data, {"x": x}, delegate)["y"], expected, rtol=0, atol=0.021)
