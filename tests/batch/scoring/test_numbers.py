"""Numbers of Arrow as a model takes them: exact, or named."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.scoring.numbers import number_faults, numbers

INTEGERS = {"int8": pa.int8(), "int64": pa.int64(), "uint8": pa.uint8(), "uint64": pa.uint64()}
TAKEN = ["int8", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64"]


def faults(array: pa.Array, dtype: str, missing: bool = False) -> list[str]:
    said = [""] * len(array)
    for rule, mask in number_faults(array, np.dtype(dtype), missing):
        for row in np.flatnonzero(mask):
            said[row] = said[row] or rule
    return said


@settings(deadline=None)
@given(st.data(), st.sampled_from(list(INTEGERS)), st.sampled_from(TAKEN))
def test_a_whole_number_is_taken_exactly_or_named(data: st.DataObject, given_: str, dtype: str) -> None:
    limits = np.iinfo(given_)
    edges = [2**bits + by for bits in (7, 8, 11, 24, 31, 53, 63, 64) for by in (-1, 0, 1)]
    wanted = st.one_of(st.integers(int(limits.min), int(limits.max)), st.sampled_from([*edges, *(-e for e in edges)]))
    within = wanted.filter(lambda value: limits.min <= value <= limits.max)
    values = data.draw(st.lists(st.one_of(st.none(), within), max_size=8))
    array = pa.array(values, INTEGERS[given_])
    made, said = numbers(array, np.dtype(dtype)), faults(array, dtype, missing=True)
    for value, got, fault in zip(values, made.tolist(), said, strict=True):
        if value is None:
            assert math.isnan(got) and not fault if dtype.startswith("float") else fault == "missing"
        elif fault:
            assert fault == "inexact"
            with np.errstate(over="ignore"):
                kept = np.array([value], object).astype(float).astype(dtype)[0] if dtype.startswith("f") else None
            low, high = (0, 0) if kept is not None else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
            # Rounded twice (float64, then float32) is inexact all the same.
            assert not np.isfinite(kept) or int(kept) != value if kept is not None else not low <= value <= high
        else:
            assert got == value


@settings(deadline=None)
@given(st.lists(st.floats(width=64), max_size=10), st.booleans(), st.sampled_from(["float16", "float32", "float64"]))
def test_a_float_is_rounded_or_named(values: list[float], missing: bool, dtype: str) -> None:
    array = pa.array(values, pa.float64())
    with np.errstate(over="ignore", invalid="ignore"):
        expected = np.array(values, np.float64).astype(dtype)
    made, said = numbers(array, np.dtype(dtype)), faults(array, dtype, missing)
    assert made.dtype == dtype
    assert np.array_equal(made, expected, equal_nan=True)
    for value, rule in zip(expected.tolist(), said, strict=True):
        assert rule == ("missing" if math.isnan(value) and not missing else "infinity" if math.isinf(value) else "")


def test_finite_numbers_whose_sum_is_infinite_are_taken() -> None:
    assert faults(pa.array([1e308, 1e308, 1e308]), "float64") == ["", "", ""]


@pytest.mark.parametrize(
    ("array", "dtype", "expected", "said"),
    [
        (pa.array([True, False, None]), "float32", [1, 0, math.nan], ["", "", ""]),
        (pa.array([True, False]), "bool", [True, False], ["", ""]),
        (pa.array([True, None]), "bool", [True, False], ["", "missing"]),
        (pa.array([None, None]), "float64", [math.nan, math.nan], ["", ""]),
        (pa.array([None]), "int64", [0], ["missing"]),
        (pa.array([Decimal("1.5"), None]), "float64", [1.5, math.nan], ["", ""]),
        (pa.array([Decimal(10) ** 38]).cast(pa.decimal256(40, 0)), "float16", [math.inf], ["infinity"]),
        (pa.array([7, None, 7]).dictionary_encode(), "float32", [7, math.nan, 7], ["", "", ""]),
        (pa.array([1.5, None], pa.float16()), "float32", [1.5, math.nan], ["", ""]),
        (pa.array([], pa.int64()), "float32", [], []),
        (pa.array([9, 1, 2, 3]).slice(1, 2), "float64", [1, 2], ["", ""]),
        (pa.array([9, None, 2, 3]).slice(1, 2), "float64", [math.nan, 2], ["", ""]),
    ],
    ids=str,
)
def test_kinds_of_columns(array: pa.Array, dtype: str, expected: list[Any], said: list[str]) -> None:
    made = numbers(array, np.dtype(dtype))
    assert made.dtype == dtype
    assert np.array_equal(made, np.array(expected, dtype), equal_nan=np.dtype(dtype).kind == "f")
    assert faults(array, dtype, missing=True) == said


def test_a_column_of_the_models_own_dtype_is_not_copied() -> None:
    array = pa.array(np.arange(10.0))
    assert numbers(array, np.dtype("float64")).ctypes.data == array.buffers()[1].address
