"""Integer products, and the operators of com.microsoft on codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.quantized_single import (
    BATCHES,
    assert_steps,
    draw_codes,
    draw_floats,
    microsoft_model,
)

Array = NDArray[Any]
_N = helper.make_node
RANDOM = np.random.default_rng(0)


def test_dynamic_quantization_is_the_functions_own() -> None:
    nodes = [_N("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])]
    model = model_of(nodes, {"x": ("float32", ["n", 4])}, ["y", "s", "z"])
    assert_lowered(model, {"x": draw_floats(7, 4)}, {"x": np.abs(draw_floats(2, 4))}, {"x": -np.abs(draw_floats(1, 4))})


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
    x, w = draw_codes("uint8", 2, 64, 6, 6), draw_codes("int8", 5, 64, 3, 3)
    w[0], x[0] = 127, 255
    model = model_of(
        [_N("ConvInteger", ["x", "w", "z"], ["y"], pads=[1, 1, 1, 1])], {"x": ("uint8", ["n", 64, 6, 6])}, ["y"],
        {"w": w, "z": np.array(3, np.uint8)},
    )  # fmt: skip
    assert_lowered(model, {"x": x}, {"x": x[:1]})


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("op_type", ["QLinearAdd", "QLinearMul"])
def test_sums_and_products_of_codes(op_type: str, dtype: str) -> None:
    x = draw_codes(dtype, 7, 3, 4)
    constants: dict[str, Array] = {
        "as": np.array(0.02, np.float32), "z": np.array(11, dtype), "b": draw_codes(dtype, 3, 1), "bs": np.array(0.03, np.float32),
        "cs": np.array(0.05, np.float32),
    }  # fmt: skip
    node = _N(op_type, ["x", "as", "z", "b", "bs", "z", "cs", "z"], ["y"], domain="com.microsoft")
    assert_steps(microsoft_model(node, x, constants, dtype, 3), x)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("QLinearLeakyRelu", {"alpha": 0.1}), ("QLinearSigmoid", {}), ("QLinearSoftmax", {"axis": -1, "opset": 13}),
        ("QLinearGlobalAveragePool", {}), ("QLinearAveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ],
)  # fmt: skip
def test_operators_on_one_tensor_of_codes(op_type: str, attributes: dict[str, Any], dtype: str) -> None:
    x = draw_codes(dtype, 7, 3, 4, 4)
    least = np.iinfo(dtype).min
    fixed = op_type in ("QLinearSigmoid", "QLinearSoftmax")
    constants: dict[str, Array] = {
        "s": np.array(0.05, np.float32), "z": np.array(least + 120, dtype), "ys": np.array(1 / 256 if fixed else 0.04, np.float32),
        "yz": np.array(least if fixed else least + 100, dtype),
    }  # fmt: skip
    node = _N(op_type, ["x", "s", "z", "ys", "yz"], ["y"], domain="com.microsoft", **attributes)
    assert_steps(microsoft_model(node, x, constants, dtype, 4), x)


def test_products_of_codes_to_real_numbers() -> None:
    """com.microsoft MatMulIntegerToFloat and DynamicQuantizeMatMul."""
    x, b = draw_codes("uint8", 7, 20), draw_codes("int8", 20, 5)
    constants: dict[str, Array] = {
        "b": b, "as": np.array(0.02, np.float32), "bs": np.abs(draw_floats(5)) + 0.01, "az": np.array(100, np.uint8),
        "bz": np.zeros(5, np.int8), "c": draw_floats(5),
    }  # fmt: skip
    node = _N("MatMulIntegerToFloat", ["x", "b", "as", "bs", "az", "bz", "c"], ["y"], domain="com.microsoft")
    model = microsoft_model(node, x, constants, "float32", 2)
    assert_lowered(model, *({"x": x[:batch]} for batch in BATCHES), rtol=1e-5, atol=1e-4)
    node = _N("DynamicQuantizeMatMul", ["x", "b", "bs", "bz", "c"], ["y"], domain="com.microsoft")
    reals = draw_floats(7, 20)
    del constants["as"], constants["az"]
    model = microsoft_model(node, reals, constants, "float32", 2)
    assert_lowered(model, *({"x": reals[:batch]} for batch in BATCHES), rtol=1e-5, atol=1e-4)


def test_an_lstm_on_codes_is_refused_by_name() -> None:
    node = _N("DynamicQuantizeLSTM", ["x", "w", "r"], ["y"], domain="com.microsoft", hidden_size=2)
    constants: dict[str, Array] = {"w": draw_codes("int8", 1, 3, 8), "r": draw_codes("int8", 1, 2, 8)}
    with pytest.raises(Unsupported, match="DynamicQuantizeLSTM"):
        lower(microsoft_model(node, draw_floats(4, 1, 3), constants, "float32", 4))
