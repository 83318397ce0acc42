"""Activations and functions of one float, against ONNX Runtime over the ranges in which models use them, and at their ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.single import Array, assert_gives, model_with

RNG = np.random.default_rng(2)
NEAR = np.concatenate([
    np.linspace(-30, 30, 1201), np.linspace(-0.01, 0.01, 41), [1e-7, -1e-7, 1e-20, 0.0, -0.0, 88.0, -88.0],
]).astype(np.float32)  # fmt: skip
UNIT = np.concatenate([np.linspace(-1, 1, 401), [1e-7, -1e-7, 0.99999994, -0.99999994]]).astype(np.float32)
#: operator -> (attributes, the arguments, how often it may be emitted); opset 22 has them all
FUNCTIONS: list[tuple[str, dict[str, Any], Array, int]] = [
    ("Relu", {}, NEAR, 1),
    ("LeakyRelu", {}, NEAR, 1),
    ("LeakyRelu", {"alpha": -0.5}, NEAR, 1),
    ("LeakyRelu", {"alpha": 1.5}, NEAR, 1),
    ("Elu", {}, NEAR, 1),
    ("Elu", {"alpha": 0.3}, NEAR, 2),
    ("Elu", {"alpha": -2.0}, NEAR, 2),
    ("Selu", {}, NEAR, 3),
    ("Selu", {"alpha": 1.5, "gamma": 3.0}, NEAR, 3),
    ("Celu", {}, NEAR, 1),
    ("Celu", {"alpha": 2.5}, NEAR, 3),
    ("HardSigmoid", {}, NEAR, 3),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, NEAR, 3),
    ("HardSwish", {}, NEAR, 1),
    ("Sigmoid", {}, NEAR, 1),
    ("Tanh", {}, NEAR, 1),
    ("Gelu", {}, NEAR, 1),
    ("Gelu", {"approximate": "tanh"}, NEAR, 1),
    ("Mish", {}, NEAR, 7),
    ("Softplus", {}, NEAR, 7),
    ("Softsign", {}, NEAR, 3),
    ("ThresholdedRelu", {}, NEAR, 2),
    ("ThresholdedRelu", {"alpha": -0.25}, NEAR, 2),
    ("Shrink", {}, NEAR, 4),
    ("Shrink", {"lambd": 1.5, "bias": 0.75}, NEAR, 6),
    ("Exp", {}, np.linspace(-87, 88, 999).astype(np.float32), 1),
    ("Log", {}, np.geomspace(1e-37, 1e37, 999).astype(np.float32), 1),
    ("Sqrt", {}, np.geomspace(1e-37, 8e37, 999).astype(np.float32), 1),
    ("Reciprocal", {}, np.geomspace(1e-37, 1e37, 999).astype(np.float32), 1),
    ("Erf", {}, NEAR, 30),
    ("Sin", {}, NEAR, 1),
    ("Cos", {}, NEAR, 1),
    ("Tan", {}, np.linspace(-1.5, 1.5, 301).astype(np.float32), 3),
    ("Asin", {}, UNIT, 5),
    ("Acos", {}, UNIT, 5),
    ("Atan", {}, np.concatenate([NEAR, [1e9, -1e9, np.inf, -np.inf]]).astype(np.float32), 3),
    ("Sinh", {}, NEAR, 12),
    ("Cosh", {}, NEAR, 10),
    ("Asinh", {}, np.concatenate([NEAR, [1e9, -1e18, 1e38]]).astype(np.float32), 25),
    ("Acosh", {}, np.concatenate([np.linspace(1, 100, 200), [1.0000001, 1e18, 1e38]]).astype(np.float32), 25),
    ("Atanh", {}, UNIT[np.abs(UNIT) < 1], 20),
    ("Ceil", {}, NEAR, 1),
    ("Floor", {}, NEAR, 1),
    ("Round", {}, np.concatenate([NEAR, np.arange(-5, 5) + 0.5, [8388607.5, 1e20]]).astype(np.float32), 1),
    ("Sign", {}, NEAR, 1),
    ("Abs", {}, NEAR, 1),
    ("Neg", {}, NEAR, 1),
]
#: Results that grow with their argument, which an absolute error says nothing of.
RELATIVE = {"Exp": 6e-6, "Reciprocal": 1e-6, "Sinh": 3e-6, "Cosh": 3e-6, "Tan": 4e-6}


@pytest.mark.parametrize(("operator", "attributes", "x", "most"), FUNCTIONS)
def test_functions_of_one_float(operator: str, attributes: dict[str, Any], x: Array, most: int) -> None:
    """Right to float32's digits, in no more operators than listed."""
    rtol = RELATIVE.get(operator, 1e-6)
    made = assert_gives(operator, x, opset=22, rtol=rtol, atol=0 if operator in RELATIVE else 1.1e-6, **attributes)
    assert len(made) <= most, made


@pytest.mark.parametrize(
    ("operator", "x"),
    [
        ("Relu", [np.nan, np.inf, -np.inf]),
        ("LeakyRelu", [np.nan, np.inf, -np.inf]),
        ("Elu", [np.nan, np.inf, -np.inf]),
        ("Sigmoid", [np.nan, np.inf, -np.inf, 1e25, -1e25]),
        ("Tanh", [np.nan, np.inf, -np.inf]),
        ("Erf", [np.nan, np.inf, -np.inf, 1e30]),
        ("Softplus", [np.inf, -np.inf, 1e30, -1e30]),
        ("HardSigmoid", [np.nan, np.inf, -np.inf]),
        ("Sqrt", [np.nan, np.inf, -1.0, 0.0]),
        ("Exp", [np.inf, -np.inf, 100.0, 88.3]),
        ("Log", [np.nan, np.inf, -1.0, 0.0]),
        ("Asin", [np.nan, 1.5, -1.5, np.inf]),
        ("Acos", [np.nan, 1.5, -1.5, np.inf]),
        ("Acosh", [np.nan, 0.5, -5.0, np.inf]),
        ("Atan", [np.nan]),
        ("Sinh", [89.0, -89.0, 1e-30, 0.0]),
        ("Cosh", [89.0, -89.0]),
        ("Ceil", [np.nan, np.inf, -np.inf]),
        ("Round", [np.nan, np.inf, -np.inf]),
        ("Sign", [np.nan, np.inf, -np.inf]),
        ("Mish", [1e30, -1e30, np.inf]),
    ],
)
def test_ends_of_functions_of_one_float(operator: str, x: list[float]) -> None:
    assert_gives(operator, np.array(x, np.float32), opset=22, rtol=2e-5, delegates=[True])


def test_the_error_function_has_the_digits_of_float32() -> None:
    """Its relative error too stays below 4e-7 down to the smallest arguments."""
    x = np.concatenate([np.linspace(-4.5, 4.5, 2001), np.geomspace(1e-30, 1, 200)]).astype(np.float32)
    expected = np.array([math.erf(value) for value in x.astype(np.float64)])
    assert_gives("Erf", x, expected=expected, rtol=4e-7, atol=0)


def test_small_arguments_keep_their_digits() -> None:
    x = np.geomspace(1e-12, 1e-2, 50).astype(np.float32)
    for operator in ("Sinh", "Asin", "Atan", "Tanh"):
        function = {"Sinh": np.sinh, "Asin": np.arcsin, "Atan": np.arctan, "Tanh": np.tanh}[operator]
        assert_gives(operator, x, expected=function(x.astype(np.float64)), rtol=2e-6, atol=0)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_relu_of_whole_numbers(dtype: str) -> None:
    limits = np.iinfo(dtype)
    x = np.array([limits.min, -1 if limits.min else 1, 0, 1, limits.max], dtype)
    if dtype == "uint8":
        return  # the standard has none
    assert assert_gives("Relu", x, expected=np.maximum(x, 0)) == ["MAXIMUM"]


@pytest.mark.parametrize(
    ("least", "most", "kind"),
    [
        (0.0, 6.0, ["RELU6"]), (0.0, 1.0, ["RELU_0_TO_1"]), (-1.0, 1.0, ["RELU_N1_TO_1"]), (0.0, None, ["RELU"]),
        (None, 2.0, ["MINIMUM"]), (-3.0, None, ["MAXIMUM"]), (-3.0, 2.0, ["MAXIMUM", "MINIMUM"]),
        (2.0, -2.0, ["MAXIMUM", "MINIMUM"]), (None, None, ["RESHAPE"]), (0.0, 3.4028235e38, ["RELU"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("opset", [6, 11, 13])
def test_clip_of_floats(least: float | None, most: float | None, kind: list[str], opset: int) -> None:
    """One operator where TFLite has one; NaN stays; the maximum wins over a minimum above it.

    A bound that is not given is none: ONNX Runtime then takes infinity to the largest float.
    """
    ends = [np.nan, -np.inf if least is not None else 0, np.inf if most is not None and most < 1e38 else 0]
    x = np.concatenate([NEAR, ends]).astype(np.float32)
    if opset == 6:
        given: dict[str, Any] = {name: bound for name, bound in (("min", least), ("max", most)) if bound is not None}
        expected = np.minimum(np.maximum(x, -np.inf if least is None else least), np.inf if most is None else most)
        made = assert_gives("Clip", x, opset=7, expected=expected.astype(np.float32), **given)
    else:
        names = ["x", "" if least is None else "least", "" if most is None else "most"]
        bounds = {"least": least, "most": most}
        model = model_of(
            [helper.make_node("Clip", names, ["y"])],
            {"x": ("float32", x.shape)},
            ["y"],
            {name: np.array(bound, np.float32) for name, bound in bounds.items() if bound is not None},
            opset=opset,
        )
        made = kinds(assert_lowered(model, {"x": x}).data)
    assert made == kind


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_clip_of_whole_numbers(dtype: str) -> None:
    limits = np.iinfo(dtype)
    x = np.array([limits.min, 0, 1, 5, 7, 100, limits.max], dtype)
    assert_gives("Clip", x, np.array(1, dtype), np.array(7, dtype), constant=[1, 2])
    made = assert_gives("Clip", x, np.array(limits.min, dtype), np.array(7, dtype), constant=[1, 2])
    assert made == ["MINIMUM"]


def test_clip_with_bounds_that_are_known_only_when_it_runs() -> None:
    """NaN stays, whichever bound holds."""
    x = np.concatenate([NEAR, [np.nan]]).astype(np.float32)
    assert_gives("Clip", x, np.array(-2, np.float32), np.array(3, np.float32))


@pytest.mark.parametrize("slope", [(), (1,), (4, 1, 1), (1, 4, 1, 1), (3,), (2, 4, 2, 3)])
@pytest.mark.parametrize("constant", [[], [1]])
def test_prelu_broadcasts_its_slope(slope: tuple[int, ...], constant: list[int]) -> None:
    x, a = RNG.normal(size=(2, 4, 2, 3)).astype(np.float32), RNG.normal(size=slope).astype(np.float32)
    assert assert_gives("PRelu", x, a, constant=constant) == ["PRELU"]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_prelu_of_whole_numbers(dtype: str) -> None:
    x, a = RNG.integers(-9, 9, (3, 4)).astype(dtype), RNG.integers(-9, 9, 4).astype(dtype)
    assert_gives("PRelu", x, a, constant=[1], expected=np.where(x < 0, x * a, x))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_shrink_of_whole_numbers(dtype: str) -> None:
    x = np.arange(np.iinfo("int8").min, 128).astype(dtype)
    assert_gives("Shrink", x, expected=np.where(np.abs(x.astype(int)) > 3, x, 0).astype(dtype), lambd=3.0)


def test_shrink_of_wide_whole_numbers_is_refused() -> None:
    model, _ = model_with("Shrink", [np.ones(3, np.int64)])
    with pytest.raises(Unsupported, match="Shrink"):
        lower(model)


def test_swish_with_a_factor() -> None:
    """Opset 24, which onnx 1.19 and newer infer."""
    model, fed = model_with("Swish", [NEAR], opset=24, alpha=1.5)
    for delegate in (True, False):
        made = run_tflite(lower(model).data, fed, delegate)["y"]
        wide = NEAR.astype(np.float64)
        np.testing.assert_allclose(made, wide / (1 + np.exp(-1.5 * wide)), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("operator", ["Gelu", "BiasGelu", "FastGelu", "QuickGelu"])
@pytest.mark.parametrize("biased", [False, True])
def test_what_onnx_runtime_fuses_activations_into(operator: str, biased: bool) -> None:
    if biased == (operator in ("Gelu", "QuickGelu")) and operator != "FastGelu":
        return  # the one has no bias, the other always one
    nodes = [helper.make_node(operator, ["x", "b"] if biased else ["x"], ["y"], domain="com.microsoft")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["batch", 8])],
        [helper.make_tensor_value_info("y", 1, ["batch", 8])],
        [helper.make_tensor("b", 1, [8], RNG.normal(size=8))],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    assert_lowered(model, *({"x": RNG.normal(size=(n, 8)).astype(np.float32) * 3} for n in (1, 2, 7)), atol=2e-6)


@pytest.mark.parametrize(
    "operator",
    [
        "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish", "Sigmoid", "Tanh", "Gelu", "Mish", "Softplus",
        "Softsign", "Erf", "Abs", "Neg", "Sqrt", "Log", "Sin", "Cos", "Floor", "Ceil", "Round", "Sign",
    ],
)  # fmt: skip
def test_nan_stays(operator: str) -> None:
    """Among other numbers, with XNNPACK and without."""
    x = np.array([1, np.nan, 2, 0.5, 3, 4, 5, np.nan, 7, 8, 9], np.float32)
    assert_gives(operator, x, opset=22, rtol=1e-5)


def test_sine_and_cosine_of_thousands() -> None:
    x = np.linspace(-5000, 5000, 4001).astype(np.float32)
    assert_gives("Sin", x, expected=np.sin(x.astype(np.float64)), rtol=0, atol=1e-6)
    assert_gives("Cos", x, expected=np.cos(x.astype(np.float64)), rtol=0, atol=1e-6)
