"""Arithmetic of every element type: whole numbers exactly, with the wrapping and truncation of C."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import assert_lowered, kinds, lower, model_of
from tests.converters.tflite_from_onnx.single import Array, assert_gives, model_with

RNG = np.random.default_rng(0)
SMALL = ["int8", "uint8", "int16"]
WHOLE = [*SMALL, "int32", "int64"]


def _whole(dtype: str, shape: tuple[int, ...] = (4, 5)) -> Array:
    """Numbers of the whole range of their type, its ends among them."""
    limits = np.iinfo(dtype)
    made = RNG.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    made.reshape(-1)[:2] = limits.min, limits.max
    return made


def _divisors(dtype: str, shape: tuple[int, ...] = (4, 5)) -> Array:
    """Numbers of every size but 0 and -1."""
    wide = _whole(dtype, shape)
    with np.errstate(all="ignore"):
        made = np.where(RNG.random(shape) < 0.5, wide, RNG.integers(2, 9, shape)).astype(dtype)
    made[(made == 0) | (made == np.array(-1).astype(dtype))] = 3
    return made


def _truncated(a: Array, b: Array) -> Array:
    """Quotients as C has them."""
    quotients = [
        abs(int(x)) // abs(int(y)) * (1 if (x < 0) == (y < 0) else -1) for x, y in zip(a.flat, b.flat, strict=True)
    ]
    return np.array(quotients, dtype=object).astype(np.int64).astype(a.dtype).reshape(a.shape)


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize(("operator", "function"), [("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply)])
def test_whole_sums_and_products_wrap(operator: str, function: np.ufunc, dtype: str) -> None:
    a, b = _whole(dtype), _whole(dtype)[:1]
    assert_gives(operator, a, b, expected=function(a, b))
    assert_gives(operator, a, b, constant=[1], expected=function(a, b))
    assert_gives(operator, b, a, constant=[0], expected=function(b, a))


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_division_truncates(dtype: str) -> None:
    a, b = _whole(dtype), _divisors(dtype)
    expected = _truncated(a, b)
    assert_gives("Div", a, b, expected=expected)
    assert_gives("Div", a, b, constant=[1], expected=expected)


@pytest.mark.parametrize("constant", [[], [1]])
def test_int64_division_is_exact_where_float64_is_not(constant: list[int]) -> None:
    """Every divisor meets both ends of the range, and multiples of it with their neighbours."""
    limits = np.iinfo(np.int64)
    divisors = [1, 2, 3, -2, -7, 10, 1 << 20, (1 << 31) - 1, 1 << 32, (1 << 53) + 1, limits.max, limits.min]
    pairs = []
    for divisor in divisors:
        whole = limits.max // abs(divisor) * abs(divisor)
        for number in (
            limits.min,
            limits.max,
            whole,
            whole - 1,
            -whole,
            -whole + 1,
            0,
            1,
            -1,
            divisor,
            12345678901234567,
        ):
            pairs.append((number, divisor))
    a, b = np.array(pairs, np.int64).T
    assert_gives("Div", a, b, constant=constant, expected=_truncated(a, b))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=50))
def test_any_int64_division_is_exact(pairs: list[tuple[int, int]]) -> None:
    pairs = [(x, y) for x, y in pairs if y not in (0, -1)] or [(7, 2)]
    a, b = np.array(pairs, np.int64).T
    assert_gives("Div", a, b, expected=_truncated(a, b), delegates=[False])


def test_int64_numbers_that_came_from_narrower_ones_are_divided_in_int32() -> None:
    model = model_of(
        [helper.make_node("Cast", ["x"], ["c"], to=7), helper.make_node("Div", ["c", "d"], ["y"])],
        {"x": ("int32", ["batch", 3])},
        ["y"],
        {"d": np.array(7, np.int64)},
    )
    feeds = [{"x": RNG.integers(-1000, 1000, (n, 3)).astype(np.int32)} for n in (1, 2, 7)]
    assert kinds(assert_lowered(model, *feeds).data) == ["CAST", "CAST", "DIV", "CAST"]


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("constant", [[], [1]])
def test_whole_remainders_have_the_sign_the_attribute_asks_for(dtype: str, constant: list[int]) -> None:
    a, b = _whole(dtype), _divisors(dtype)
    b[0, 0] = 1 if dtype == "uint8" else -1  # the least number mod -1 ends a process in C
    expected = np.array([int(x) % int(y) for x, y in zip(a.flat, b.flat, strict=True)], dtype).reshape(a.shape)
    assert_gives("Mod", a, b, constant=constant, expected=expected)
    signed = [abs(int(x)) % abs(int(y)) * (-1 if x < 0 else 1) for x, y in zip(a.flat, b.flat, strict=True)]
    assert_gives("Mod", a, b, constant=constant, expected=np.array(signed, dtype).reshape(a.shape), fmod=1)


def test_float_remainders_are_those_of_c() -> None:
    a = np.array([5.3, -5.3, 5.3, -5.3, 1e-8, -1e-8, 0.0, 4.0, -4.0, 1e20, np.nan, np.inf, 3.0], np.float32)
    b = np.array([2.0, 2.0, -2.0, -2.0, 5.0, 5.0, 3.0, 2.0, 2.0, 3.0, 2.0, 2.0, np.inf], np.float32)
    assert_gives("Mod", a, b, fmod=1, rtol=0, atol=0)


def test_a_float_remainder_without_fmod_is_refused() -> None:
    model, _ = model_with("Mod", [np.ones(2, np.float32), np.ones(2, np.float32)])
    with pytest.raises(Unsupported, match="Mod") as refusal:
        lower(model)
    assert "fmod=1" in refusal.value.why


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize(("operator", "function"), [("Neg", np.negative), ("Abs", np.abs), ("Sign", np.sign)])
def test_signs_of_whole_numbers(operator: str, function: np.ufunc, dtype: str) -> None:
    """The least number is its own negative."""
    a = _whole(dtype)
    a[1, 1] = 0
    assert_gives(operator, a, expected=function(a))


def test_signs_of_unsigned_numbers() -> None:
    a = np.array([0, 1, 127, 128, 255], np.uint8)
    assert_gives("Abs", a, expected=a)
    assert_gives("Sign", a, expected=np.sign(a))


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize(("operator", "function"), [("Max", np.maximum), ("Min", np.minimum)])
def test_extremes_of_whole_numbers(operator: str, function: np.ufunc, dtype: str) -> None:
    a, b, c = _whole(dtype), _whole(dtype, (5,)), _whole(dtype, (4, 1))
    assert_gives(operator, a, b, c, constant=[1], expected=function(function(a, b), c))


@pytest.mark.parametrize("constant", [[], [0], [1]])
@pytest.mark.parametrize("operator", ["Max", "Min"])
@pytest.mark.parametrize("shape", [(), (1,), (9,), (9, 1), (9, 9), (1, 1)])
def test_extremes_keep_nan_on_either_side(operator: str, constant: list[int], shape: tuple[int, ...]) -> None:
    """Whatever is broadcast: the kernels differ in which NaN they keep."""
    values = np.array([np.nan, np.inf, -np.inf, 2, -0.5, 7], np.float32)
    a, b = RNG.choice(values, (9, 9)), np.asarray(RNG.choice(values, shape), np.float32)
    assert_gives(operator, a, b, constant=constant)
    assert_gives(operator, b, a, constant=constant)


def test_a_bound_that_is_constant_costs_one_operator_whichever_side_it_is_on() -> None:
    x, bound, zero = RNG.normal(size=(3, 4)).astype(np.float32), np.ones((), np.float32), np.zeros((), np.float32)
    assert assert_gives("Max", x, bound, constant=[1]) == ["MAXIMUM"]
    assert assert_gives("Max", x, zero, constant=[1]) == ["RELU"]
    assert assert_gives("Min", bound, x, constant=[0]) == ["MINIMUM"]


@pytest.mark.parametrize("operator", ["Sum", "Mean", "Max", "Min"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_operators_on_any_number_of_inputs(operator: str, count: int) -> None:
    shapes = [(4, 1, 3), (2, 1), (3,)][:count]
    assert_gives(operator, *(RNG.normal(size=shape).astype(np.float32) for shape in shapes))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 4), (4,)),
        ((4,), (2, 3, 4)),
        ((2, 1, 4), (3, 1)),
        ((), (3,)),
        ((2, 1, 2, 1, 2, 1), (2, 1, 2, 1, 2)),
        ((0, 3), (1, 3)),
    ],
)
def test_floats_broadcast_both_ways(operator: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (RNG.uniform(0.5, 2, shape).astype(np.float32) for shape in shapes)
    assert_gives(operator, a, b)
    assert_gives(operator, a, b, constant=[1])


def test_infinite_results_are_infinite_with_xnnpack() -> None:
    """Without it, TFLite's kernels end at the largest float."""
    a, b = np.array([1, -1, 0, np.inf, 3e38], np.float32), np.array([0, 0, 0, 2, 0.1], np.float32)
    assert_gives("Div", a, b, delegates=[True])
    assert_gives("Reciprocal", np.array([0, -0.0, np.inf, np.nan, 4], np.float32), delegates=[True])
    assert_gives("Add", np.array([np.inf, -np.inf, np.nan], np.float32), np.ones(3, np.float32), delegates=[True])


@pytest.mark.parametrize("operator", ["Add", "Max", "Pow", "Mish", "Erf", "Reciprocal", "ThresholdedRelu", "Clip"])
def test_more_axes_than_the_kernels_broadcast_are_refused(operator: str) -> None:
    """They would end the process."""
    x = np.ones((1, 2, 1, 1, 1, 1, 1, 1, 2), np.float32)
    more = [np.array(0.5, np.float32)] if operator in ("Add", "Max", "Pow", "Clip") else []
    model, _ = model_with(operator, [x, *more], constant=[1])
    with pytest.raises(Unsupported):
        lower(model)


@pytest.mark.parametrize("dtype", ["uint32", "uint16", "uint64"])
def test_element_types_that_tflite_does_not_hold_are_refused(dtype: str) -> None:
    model, _ = model_with("Add", [np.ones(3, dtype), np.ones(3, dtype)])
    with pytest.raises(Unsupported):
        lower(model)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_wide_and_half_floats_are_computed_in_float32(dtype: str) -> None:
    a = RNG.normal(size=(3, 4)).astype(dtype)
    assert_gives("Add", a, a[:1], constant=[1], expected=(a + a[:1]).astype(np.float32), rtol=2e-3, atol=1e-3)


def test_a_float64_constant_beyond_float32_stays_finite() -> None:
    """Masks are often the least number of their type; as an infinity it would make NaN of 0."""
    mask = np.array([-1.7976931348623157e308, 0.0, np.inf])
    x = np.array([0.0, 1.0, 1.0])
    expected = np.array([0.0, 0.0, np.inf], np.float32)
    assert_gives("Mul", x, mask, constant=[1], expected=expected, delegates=[True])
