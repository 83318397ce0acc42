"""Comparisons, logic, choices, bits and casts, of every element type they are defined for."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, lower, model_of, run_tflite
from tests.converters.tflite_from_onnx.single import Array, assert_gives, model_with

RNG = np.random.default_rng(1)
WHOLE = ["int8", "uint8", "int16", "int32", "int64"]
COMPARED = {
    "Equal": np.equal, "Less": np.less, "LessOrEqual": np.less_equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
}  # fmt: skip


def _near(dtype: str, shape: tuple[int, ...]) -> Array:
    """Numbers that often meet: the ends of their type and what is around 0."""
    if dtype == "float32":
        return RNG.choice(np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 1e-38], np.float32), shape)
    limits = np.iinfo(dtype)
    return RNG.choice(np.array([limits.min, limits.max, limits.max - 1, 0, 1, 2], dtype), shape)


@pytest.mark.parametrize("dtype", [*WHOLE, "float32"])
@pytest.mark.parametrize("operator", COMPARED)
def test_comparisons(operator: str, dtype: str) -> None:
    """Nothing is equal to NaN, above it or below it."""
    a, b = _near(dtype, (6, 7)), _near(dtype, (7,))
    assert_gives(operator, a, b, expected=COMPARED[operator](a, b))
    assert_gives(operator, a, b, constant=[1], expected=COMPARED[operator](a, b))


def test_booleans_are_equal_or_not() -> None:
    a, b = RNG.random((4, 5)) < 0.5, RNG.random(5) < 0.5
    assert_gives("Equal", a, b)


@pytest.mark.parametrize("operator", ["And", "Or", "Xor"])
@pytest.mark.parametrize("shapes", [((2, 3, 4), (4,)), ((3, 1), (2, 3, 4)), ((), (5,))])
def test_logic(operator: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (np.asarray(RNG.random(shape) < 0.5) for shape in shapes)
    assert_gives(operator, a, b)
    assert_gives(operator, a, b, constant=[1])


def test_what_is_not_a_number_and_what_is_infinite() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0, 3.4028235e38, 1], np.float32)
    assert_gives("IsNaN", x)
    for positive, negative in ((1, 1), (1, 0), (0, 1), (0, 0)):
        assert_gives("IsInf", x, detect_positive=positive, detect_negative=negative)


@pytest.mark.parametrize("dtype", [*WHOLE, "float32", "bool"])
@pytest.mark.parametrize("constant", [[], [1], [2], [1, 2]])
def test_choices(dtype: str, constant: list[int]) -> None:
    condition = RNG.random((3, 1, 5)) < 0.5
    yes, no = RNG.integers(0, 2, (4, 1)).astype(dtype), RNG.integers(0, 2, (3, 4, 5)).astype(dtype)
    assert_gives("Where", condition, yes, no, constant=constant, expected=np.where(condition, yes, no))


def test_a_choice_leaves_nan_on_the_side_that_is_not_chosen() -> None:
    condition = np.array([True, False, True])
    assert_gives(
        "Where", condition, np.array([1, np.nan, np.inf], np.float32), np.array([np.nan, 2, np.nan], np.float32)
    )


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize(
    ("operator", "function"),
    [("BitwiseAnd", np.bitwise_and), ("BitwiseOr", np.bitwise_or), ("BitwiseXor", np.bitwise_xor)],
)
@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((), (3,)), ((2, 3), ())])
def test_bits(operator: str, function: np.ufunc, dtype: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    limits = np.iinfo(dtype)
    a, b = (RNG.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True) for shape in shapes)
    a, b = np.asarray(a, dtype), np.asarray(b, dtype)
    assert_gives(operator, a, b, expected=function(a, b))
    assert_gives(operator, a, b, constant=[1], expected=function(a, b))


@pytest.mark.parametrize("dtype", WHOLE)
def test_all_bits_turned(dtype: str) -> None:
    a = _near(dtype, (3, 4))
    assert_gives("BitwiseNot", a, expected=~a)


@pytest.mark.parametrize("constant", [[], [1]])
def test_shifts_of_bytes(constant: list[int]) -> None:
    """By the width of the type nothing is left."""
    x, by = np.arange(256, dtype=np.uint8).reshape(-1, 1), np.arange(9, dtype=np.uint8)
    left = (x.astype(int) << by.astype(int)).astype(np.uint8)
    assert_gives("BitShift", x, by, constant=constant, expected=left, direction="LEFT")
    right = (x.astype(int) >> by.astype(int)).astype(np.uint8)
    assert_gives("BitShift", x, by, constant=constant, expected=right, direction="RIGHT")


TYPES = ["float32", "float16", "float64", "bool", *WHOLE]


@pytest.mark.parametrize("source", TYPES)
@pytest.mark.parametrize("target", TYPES)
def test_casts(source: str, target: str) -> None:
    """Whole numbers wrap; floats are truncated and go through int32 to what is narrower; anything but 0 is true."""
    values = np.array([0, 1, -1, 2.5, -2.5, 127.9, 128, 255, 256, -129, 300, 1000, -40000, 60000], np.float64)
    if source == "uint8":
        values = np.abs(values)
    x = values.astype(np.int64).astype(source) if source in WHOLE else values.astype(source)
    whole = x.astype(np.int32) if source.startswith("float") and target in ("int8", "uint8", "int16") else x
    expected = whole.astype(target)
    made = assert_gives(
        "Cast", x, expected=expected, to=int(helper.np_dtype_to_tensor_dtype(np.dtype(target))), rtol=1e-3
    )
    both_held_alike = source == target or (source.startswith("float") and target.startswith("float"))
    assert made == ["RESHAPE"] if both_held_alike else set(made) == {"CAST"}


def test_a_cast_like_another_value_takes_its_type() -> None:
    x = RNG.normal(size=(2, 3)).astype(np.float32) * 9
    assert_gives("CastLike", x, np.zeros(1, np.int64), constant=[1])


@pytest.mark.parametrize("target", [TensorProto.STRING, TensorProto.UINT16, TensorProto.FLOAT8E4M3FN, TensorProto.INT4])
def test_casts_to_what_tflite_does_not_hold_are_refused(target: int) -> None:
    model, _ = model_with("Cast", [np.ones(3, np.float32)], to=target)
    with pytest.raises(Unsupported, match="Cast"):
        lower(model)


@pytest.mark.parametrize(("opset", "masked"), [(7, False), (10, True), (12, True), (13, False), (13, True), (22, True)])
def test_dropout_passes_its_input_on(opset: int, masked: bool) -> None:
    outputs = ["y", "mask"] if masked else ["y"]
    model = model_of(
        [helper.make_node("Dropout", ["x"], outputs)], {"x": ("float32", ["batch", 3])}, outputs, opset=opset
    )
    x = np.array([[1, np.nan, -2]], np.float32)
    lowered = lower(model)
    for fed in (x, np.repeat(x, 7, 0)):
        made = run_tflite(lowered.data, {"x": fed})
        np.testing.assert_array_equal(made["y"], fed)
        if masked:
            assert made["mask"].dtype == np.bool_
            assert made["mask"].shape == fed.shape
            assert made["mask"].all()


def test_dropout_that_trains_is_refused() -> None:
    model, _ = model_with("Dropout", [np.ones(3, np.float32), np.array(0.5, np.float32), np.array(True)], [1, 2], 13)
    with pytest.raises(Unsupported, match="Dropout") as refusal:
        lower(model)
    assert "training" in refusal.value.why


@pytest.mark.parametrize("operator", ["Bernoulli", "RandomUniformLike", "RandomNormalLike"])
def test_random_numbers_are_refused(operator: str) -> None:
    model, _ = model_with(operator, [np.full(3, 0.5, np.float32)])
    with pytest.raises(Unsupported, match=operator) as refusal:
        lower(model)
    assert "random" in refusal.value.why


def test_a_condition_made_of_a_comparison_keeps_an_open_batch() -> None:
    model = model_of(
        [
            helper.make_node("Greater", ["x", "zero"], ["positive"]),
            helper.make_node("Not", ["positive"], ["others"]),
            helper.make_node("Where", ["others", "x", "zero"], ["chosen"]),
            helper.make_node("Cast", ["positive"], ["counted"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["counted", "chosen"], ["y"]),
        ],
        {"x": ("float32", ["batch", 3])},
        ["y", "counted", "chosen"],
        {"zero": np.zeros(1, np.float32)},
    )
    assert_lowered(model, *({"x": RNG.normal(size=(n, 3)).astype(np.float32)} for n in (1, 2, 7)))


@pytest.mark.parametrize("operator", ["And", "Xor", "Not"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_logic_of_numbers_is_refused(operator: str, dtype: str) -> None:
    """It is no ONNX, and TFLite's kernels would end the process."""
    model, _ = model_with(operator, [np.ones(3, dtype)] * (1 if operator == "Not" else 2))
    with pytest.raises(Unsupported, match=operator):
        lower(model)
