"""QuantizeLinear, DequantizeLinear and the operators on codes, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite

Array = NDArray[Any]
_N = helper.make_node
_RANDOM = np.random.default_rng(0)
_BATCHES = (1, 2, 7)


def _f(*shape: int, scale: float = 1.0) -> Array:
    return (_RANDOM.normal(0, scale, shape)).astype(np.float32)


def _microsoft(node: onnx.NodeProto, x: Array, constants: dict[str, Array], dtype: str, rank: int) -> onnx.ModelProto:
    """A model of one operator of com.microsoft on codes `x`, whose batch is open."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    given_type = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", given_type, ["batch", *x.shape[1:]])],
        [helper.make_tensor_value_info("y", element, ["batch", *[f"d{i}" for i in range(1, rank)]])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _codes(dtype: str, *shape: int) -> Array:
    limits = np.iinfo(dtype)
    return _RANDOM.integers(limits.min, limits.max + 1, shape).astype(dtype)


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
    x = np.concatenate([_f(50, scale=4), [1e9, -1e9, 3e38]]).astype(np.float32).reshape(1, -1)
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
        assert_lowered(model, {"x": _f(*shape)})
    blocks = np.abs(_f(2, 2, 3)) + 0.1
    nodes = [
        _N("QuantizeLinear", ["x", "s"], ["q"], axis=1, block_size=3, output_dtype=helper.np_dtype_to_tensor_dtype(np.dtype(dtype))),
        _N("DequantizeLinear", ["q", "s"], ["y"], axis=1, block_size=3),
    ]  # fmt: skip
    assert_lowered(model_of(nodes, {"x": ("float32", (2, 5, 3))}, ["y"], {"s": blocks}), {"x": _f(2, 5, 3)})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
def test_integers_from_outside_are_dequantized(dtype: str) -> None:
    """An input of codes, with one scale or one for each channel."""
    x = _codes(dtype, 7, 3, 5) if dtype != "int32" else _RANDOM.integers(-9999, 9999, (7, 3, 5)).astype(np.int32)
    for shape in ((), (3,)):
        scale = np.asarray(np.abs(_f(*shape)) + 0.01, np.float32)
        zero = np.zeros(shape, dtype) if dtype in ("int16", "int32") else np.full(shape, 9, dtype)
        model = model_of(
            [_N("DequantizeLinear", ["x", "s", "z"], ["y"])],
            {"x": (dtype, ["n", 3, 5])},
            ["y"],
            {"s": scale, "z": zero},
        )
        assert_lowered(model, *({"x": x[:batch]} for batch in _BATCHES))


def test_a_model_between_codes_has_them_at_its_border() -> None:
    """int8 or uint8 in and out: the tensors of the border carry the scales, and no float is left inside."""
    for dtype, zero in (("int8", -3), ("uint8", 125)):
        nodes = [
            _N("DequantizeLinear", ["x", "s", "z"], ["a"]), _N("DequantizeLinear", ["w", "t"], ["b"]),
            _N("MatMul", ["a", "b"], ["c"]), _N("QuantizeLinear", ["c", "u", "z"], ["y"]),
        ]  # fmt: skip
        constants: dict[str, Array] = {
            "s": np.array(0.02, np.float32), "z": np.array(zero, dtype), "u": np.array(0.05, np.float32),
            "t": np.array(0.01, np.float32), "w": _codes("int8", 6, 4),
        }  # fmt: skip
        model = model_of(nodes, {"x": (dtype, ["n", 6])}, ["y"], constants)
        data = lower(model).data
        assert not {"DEQUANTIZE", "CAST"} & set(kinds(data))
        interpreter = Interpreter(model_content=data)
        borders = [*interpreter.get_input_details(), *interpreter.get_output_details()]
        assert [(border["dtype"], border["quantization"]) for border in borders] == [
            (np.dtype(dtype).type, (pytest.approx(0.02), zero)), (np.dtype(dtype).type, (pytest.approx(0.05), zero)),
        ]  # fmt: skip
        _assert_steps(model, _codes(dtype, 7, 6))


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
        data = assert_lowered(model, *({"x": _f(batch, 2, 4, 3)} for batch in _BATCHES)).data
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
    assert_lowered(model, *({"x": _f(batch, 3)} for batch in _BATCHES))


def test_integer_arithmetic_on_codes_is_exact() -> None:
    """Codes that are added and compared as integers, ties included."""
    nodes = [
        _N("QuantizeLinear", ["x", "s", "z"], ["q"]), _N("Cast", ["q"], ["i"], to=onnx.TensorProto.INT32),
        _N("Mul", ["i", "i"], ["y"]),
    ]  # fmt: skip
    constants: dict[str, Array] = {"s": np.array(0.5, np.float32), "z": np.array(2, np.uint8)}
    model = model_of(nodes, {"x": ("float32", ["n"])}, ["y"], constants)
    assert_lowered(model, {"x": (np.arange(-20, 200) * 0.25).astype(np.float32)})


def test_dynamic_quantization_is_the_functions_own() -> None:
    nodes = [_N("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])]
    model = model_of(nodes, {"x": ("float32", ["n", 4])}, ["y", "s", "z"])
    assert_lowered(model, {"x": _f(7, 4)}, {"x": np.abs(_f(2, 4))}, {"x": -np.abs(_f(1, 4))})


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["int8", "uint8"]), st.sampled_from(["int8", "uint8"]), st.integers(1, 5), st.integers(1, 40),
    st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 999),
)  # fmt: skip
def test_integer_products_are_exact(
    left: str, right: str, m: int, k: int, n: int, by_column: bool, is_constant: bool, seed: int
) -> None:
    """MatMulInteger of every pair of types, with zero points for all or for each column."""
    random = np.random.default_rng(seed)

    def codes(dtype: str, shape: tuple[int, ...]) -> Array:
        limits = np.iinfo(dtype)
        return np.asarray(random.integers(limits.min, limits.max + 1, shape)).astype(dtype)

    a, b = codes(left, (2, m, k)), codes(right, (k, n))
    constants: dict[str, Array] = {"az": codes(left, ()), "bz": codes(right, (n,) if by_column else ())}
    inputs: dict[str, Any] = {"a": (left, ["batch", m, k])}
    feeds = {"a": a}
    if is_constant:
        constants["b"] = b
    else:
        inputs["b"], feeds["b"] = (right, (k, n)), b
    model = model_of([_N("MatMulInteger", ["a", "b", "az", "bz"], ["y"])], inputs, ["y"], constants)
    data = lower(model).data
    expected = (a.astype(np.int32) - constants["az"]) @ (b.astype(np.int32) - constants["bz"])
    for delegate in (True, False):
        np.testing.assert_array_equal(run_tflite(data, feeds, delegate)["y"], expected)


def test_integer_convolutions_with_many_terms_are_exact() -> None:
    """Sums above what float32 holds are taken apart."""
    x, w = _codes("uint8", 2, 64, 6, 6), _codes("int8", 5, 64, 3, 3)
    w[0], x[0] = 127, 255
    model = model_of(
        [_N("ConvInteger", ["x", "w", "z"], ["y"], pads=[1, 1, 1, 1])], {"x": ("uint8", ["n", 64, 6, 6])}, ["y"],
        {"w": w, "z": np.array(3, np.uint8)},
    )  # fmt: skip
    assert_lowered(model, {"x": x}, {"x": x[:1]})


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op_type", ["QLinearAdd", "QLinearMul"])
def test_sums_and_products_of_codes(op_type: str, dtype: str) -> None:
    x = _codes(dtype, 7, 3, 4)
    constants: dict[str, Array] = {
        "as": np.array(0.02, np.float32), "z": np.array(11, dtype), "b": _codes(dtype, 3, 1), "bs": np.array(0.03, np.float32),
        "cs": np.array(0.05, np.float32),
    }  # fmt: skip
    node = _N(op_type, ["x", "as", "z", "b", "bs", "z", "cs", "z"], ["y"], domain="com.microsoft")
    _assert_steps(_microsoft(node, x, constants, dtype, 3), x)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("QLinearLeakyRelu", {"alpha": 0.1}), ("QLinearSigmoid", {}), ("QLinearSoftmax", {"axis": -1, "opset": 13}),
        ("QLinearGlobalAveragePool", {}), ("QLinearAveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ],
)  # fmt: skip
def test_operators_on_one_tensor_of_codes(op_type: str, attributes: dict[str, Any], dtype: str) -> None:
    x = _codes(dtype, 7, 3, 4, 4)
    least = np.iinfo(dtype).min
    fixed = op_type in ("QLinearSigmoid", "QLinearSoftmax")
    constants: dict[str, Array] = {
        "s": np.array(0.05, np.float32), "z": np.array(least + 120, dtype), "ys": np.array(1 / 256 if fixed else 0.04, np.float32),
        "yz": np.array(least if fixed else least + 100, dtype),
    }  # fmt: skip
    node = _N(op_type, ["x", "s", "z", "ys", "yz"], ["y"], domain="com.microsoft", **attributes)
    _assert_steps(_microsoft(node, x, constants, dtype, 4), x)


def test_products_of_codes_to_real_numbers() -> None:
    """com.microsoft MatMulIntegerToFloat and DynamicQuantizeMatMul."""
    x, b = _codes("uint8", 7, 20), _codes("int8", 20, 5)
    constants: dict[str, Array] = {
        "b": b, "as": np.array(0.02, np.float32), "bs": np.abs(_f(5)) + 0.01, "az": np.array(100, np.uint8),
        "bz": np.zeros(5, np.int8), "c": _f(5),
    }  # fmt: skip
    node = _N("MatMulIntegerToFloat", ["x", "b", "as", "bs", "az", "bz", "c"], ["y"], domain="com.microsoft")
    model = _microsoft(node, x, constants, "float32", 2)
    assert_lowered(model, *({"x": x[:batch]} for batch in _BATCHES), rtol=1e-5, atol=1e-4)
    node = _N("DynamicQuantizeMatMul", ["x", "b", "bs", "bz", "c"], ["y"], domain="com.microsoft")
    reals = _f(7, 20)
    del constants["as"], constants["az"]
    model = _microsoft(node, reals, constants, "float32", 2)
    assert_lowered(model, *({"x": reals[:batch]} for batch in _BATCHES), rtol=1e-5, atol=1e-4)


def test_asymmetric_weights_run_on_bytes_or_are_moved() -> None:
    """A zero point that the codes have room for goes away; else the kernel for uint8 takes it."""
    for zero, low, high, dtype in ((3, -100, 100, "int8"), (100, 0, 255, "uint8")):
        w = _RANDOM.integers(low, high + 1, (4, 3, 3, 3)).astype(dtype)
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
        feeds = [{"x": _f(batch, 3, 5, 6)} for batch in _BATCHES]
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
    x = _f(7, 3, scale=0.3)
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
    assert_lowered(model, {"x": _f(7, 3, scale=100)}, rtol=0, atol=1.6)


def test_an_lstm_on_codes_is_refused_by_name() -> None:
    node = _N("DynamicQuantizeLSTM", ["x", "w", "r"], ["y"], domain="com.microsoft", hidden_size=2)
    constants: dict[str, Array] = {"w": _codes("int8", 1, 3, 8), "r": _codes("int8", 1, 2, 8)}
    with pytest.raises(Unsupported, match="DynamicQuantizeLSTM"):
        lower(_microsoft(node, _f(4, 1, 3), constants, "float32", 4))


def _assert_steps(model: onnx.ModelProto, x: Array, steps: int = 1) -> None:
    from mlpack_edge.runtimes.onnxruntime import open_session, run

    data, session = lower(model).data, open_session(model.SerializeToString())
    for batch in _BATCHES:
        expected = run(session, {"x": x[:batch]})["y"]
        for delegate in (True, False):
            found = run_tflite(data, {"x": x[:batch]}, delegate)["y"]
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            assert int(np.abs(found.astype(int) - expected.astype(int)).max()) <= steps
