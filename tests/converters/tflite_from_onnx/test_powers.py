"""Powers of floats and of whole numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.core.errors import Unsupported
from tests.converters.tflite_from_onnx.lowered import lower
from tests.converters.tflite_from_onnx.single import assert_gives, model_with

RNG = np.random.default_rng(4)


@pytest.mark.parametrize(
    ("exponent", "kinds"),
    [
        (2.0, ["MUL"]), (3.0, ["MUL", "MUL"]), (0.5, ["SQRT"]), (-1.0, ["DIV"]), (4.0, ["POW"]), (-0.5, ["POW"]),
        (1.7, ["POW"]), (0.0, ["POW"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_powers_to_a_constant(exponent: float, kinds: list[str], dtype: str) -> None:
    x = RNG.uniform(0.1, 9, (3, 4)).astype(np.float32)
    number = np.array(exponent, np.float32)
    if dtype == "float32":
        assert assert_gives("Pow", x, number, constant=[1], rtol=2e-6) == kinds
    elif exponent == int(exponent):
        assert assert_gives("Pow", x, number.astype(dtype), constant=[1], rtol=2e-6) == kinds


def test_a_power_to_one_element_of_higher_rank_has_its_rank() -> None:
    x = RNG.uniform(0.1, 9, (3,)).astype(np.float32)
    for exponent in (1.0, 2.0, 0.5, 1.7):
        assert_gives("Pow", x, np.full((1, 1), exponent, np.float32), constant=[1], rtol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@pytest.mark.parametrize("constant", [[], [1]])
def test_float_powers_known_when_the_model_runs(dtype: str, constant: list[int]) -> None:
    x = np.array([-2, -1, 0, 0.5, 3, 7], np.float32).reshape(-1, 1)
    assert_gives("Pow", x, np.array([0, 1, 2, 3, 5], dtype), constant=constant, rtol=2e-6)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("by", ["int32", "int64", "float32"])
@pytest.mark.parametrize("constant", [[], [1]])
def test_whole_powers_are_exact(dtype: str, by: str, constant: list[int]) -> None:
    """To the last digit of the type, and 0 where a negative exponent leaves a fraction."""
    base = np.array([-7, -3, -2, -1, 0, 1, 2, 3, 7], dtype).reshape(-1, 1)
    exponent = np.array([0, 1, 2, 3, 5, 10], by)
    expected = np.array([[int(x) ** int(y) for y in exponent] for x in base[:, 0]], dtype)
    assert_gives("Pow", base, exponent, constant=constant, expected=expected)
    units, powers = np.array([[-1], [1], [2], [-5]], dtype), np.array([-3, -2, 1001, 1002], by)
    powers_of_units = np.array([[1 if y % 2 == 0 or x == 1 else -1 for y in powers] for x in (-1, 1)], dtype)
    assert_gives("Pow", units[:2], powers, constant=constant, expected=powers_of_units)
    assert_gives("Pow", units[2:], powers[:2], constant=constant, expected=np.zeros((2, 2), dtype))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-3000000, 3000000), st.integers(0, 63)), min_size=1, max_size=30))
def test_any_int64_power_that_fits_is_exact(pairs: list[tuple[int, int]]) -> None:
    pairs = [(x, y) for x, y in pairs if abs(x**y) < 2**63] or [(3, 4)]
    base, exponent = np.array(pairs, np.int64).T
    expected = np.array([x**y for x, y in pairs], np.int64)
    assert_gives("Pow", base, exponent, expected=expected, delegates=[False])


def test_a_whole_number_to_a_fraction_is_truncated() -> None:
    base = np.array([0, 1, 2, 5, 10, 1000], np.int32)
    assert_gives("Pow", base, np.array(0.5, np.float32), constant=[1])
    assert_gives("Pow", base, np.array(1.5, np.float32))


def test_powers_of_bytes_are_refused() -> None:
    """The standard has none, so that onnx refuses the model itself or the lowering does."""
    model, _ = model_with("Mul", [np.ones(2, np.int8), np.ones(2, np.int8)])
    model.graph.node[0].op_type = "Pow"
    with pytest.raises(Unsupported, match="Pow"):
        lower(model)
