"""Codes lose no more than half a step; float16 is refused where it would lose more than it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlpack_edge.converters.quantization.prepared.reads import weights_in
from mlpack_edge.converters.quantization.stored.codes import eight_bits, four_bits, half
from mlpack_edge.converters.quantization.stored.forms import Forms
from tests.converters.quantization.prepared.graphs import Graph
from tests.converters.quantization.stored.nets import prepared_of

_ANY = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 40)), elements=st.floats(-1e6, 1e6, width=32)
)


@settings(max_examples=80, deadline=None)
@given(_ANY)
def test_int8_is_within_half_a_step_of_the_largest_number_of_its_channel(array: np.ndarray) -> None:
    made = eight_bits(array, (0,))
    largest = np.abs(array).max(axis=1, keepdims=True).astype(np.float64)
    assert made.codes.dtype == np.int8
    assert np.abs(made.codes.astype(int)).max() <= 127
    # Scales are rounded to float16, so that the largest number may be clipped by 2^-11 of itself; float32 has none below
    # 1.2e-38, where all codes are 0.
    allowed = 0.501 * largest / 127 + 2**-11 * largest + 2e-36
    assert (np.abs(made.codes * made.scale.astype(np.float64) - array) <= allowed).all()


@settings(max_examples=80, deadline=None)
@given(_ANY)
def test_int4_has_no_larger_squared_error_than_steps_that_hold_the_largest_number(array: np.ndarray) -> None:
    made = four_bits(array, 1)
    real = array.astype(np.float64)
    codes = made.codes.astype(np.float64)
    assert codes.min() >= -8
    assert codes.max() <= 7
    plain = np.abs(real).max(axis=1, keepdims=True) / 7 + 1e-300
    wanted = np.square(np.clip(np.rint(real / plain), -8, 7) * plain - real).sum()
    found = np.square(codes * made.scale.astype(np.float64) - real).sum()
    # Scales are rounded to float16 afterwards.
    assert found <= 1.01 * wanted + 2**-16 * np.square(real).sum() + 1e-30


@settings(max_examples=100, deadline=None)
@given(
    arrays.arrays(np.float32, st.integers(1, 30), elements=st.floats(-(2.0**20), 2.0**20, width=32)),
    st.integers(-60, 60),
)
def test_float16_with_a_power_of_two_holds_numbers_within_what_it_says_or_is_refused(
    array: np.ndarray, exponent: int
) -> None:
    shifted = np.ldexp(array, exponent).astype(np.float32)
    made = half(shifted)
    largest = float(np.abs(shifted).max())
    if made is None:
        return
    numbers, factor = made
    error = np.abs(numbers.astype(np.float64) * factor - shifted)
    assert (error <= 2**-10 * np.maximum(np.abs(shifted), 2**-10 * largest)).all()


def test_float16_holds_numbers_far_beside_its_range_and_refuses_what_is_not_finite() -> None:
    for size in (1e-30, 1e-7, 1.0, 1e6, 1e30):
        found = half(np.linspace(-size, size, 101, dtype=np.float32))
        assert found is not None, size
    assert half(np.array([1.0, -np.inf], np.float32)) is None
    assert half(np.array([1.0, np.nan], np.float32)) is None
    assert half(np.zeros(3, np.float32)) is not None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(2, 60), st.integers(0, 1000))
def test_rounding_for_leaning_activations_keeps_errors_from_adding_up(rows: int, inner: int, seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=(rows, inner)).astype(np.float32)
    plain, leaning = eight_bits(array, (0,)), eight_bits(array, (0,), lean=0.3)
    assert np.array_equal(plain.scale, leaning.scale)
    assert np.abs(leaning.codes.astype(int) - plain.codes).max() <= 1

    def lost(codes: np.ndarray) -> np.ndarray:
        off = codes - array.astype(np.float64) / plain.scale
        return np.asarray(np.square(off).sum(axis=1) + 0.3 * np.square(off.sum(axis=1)))

    assert (lost(leaning.codes) <= lost(plain.codes) + 1e-9).all()


@pytest.mark.parametrize("activation", ["Relu", "x * Sigmoid(x)"])
def test_the_layer_behind_activations_of_one_sign_is_rounded_for_them(activation: str) -> None:
    graph = Graph()
    first = graph.conv("x", 3, 32)
    gate = first if activation == "Relu" else graph.op("Sigmoid", first)
    made = graph.op("Relu", first) if activation == "Relu" else graph.op("Mul", first, gate)
    model = graph.model({"x": ["batch", 3, 16, 16]}, graph.conv(made, 32, 32), opset=17)
    prepared = prepared_of(model)
    second = next(weight for weight in weights_in(prepared.model) if weight.tensor.dims[1] == 32)
    assert Forms(prepared.model).lean(second) == pytest.approx(0.3)
