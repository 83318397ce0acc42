"""FunctionTransformer of numpy's functions, and which functions are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import FunctionTransformer

from mlpack_edge.converters.onnx_from_sklearn.functions import FLOAT, KEEPING, ROUNDING, TESTS
from mlpack_edge.core.errors import Unsupported
from tests.converters.sklearn_parity import assert_same

RNG = np.random.default_rng(0)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, 8.0, 1000.0, 0.5, 1.5, 2.5, -0.5, 1e-300, 1e-20, 1e-9, 1e9, 1e15, 1e200, np.inf, -np.inf, np.nan]  # fmt: skip


def rows_of(dtype: str, positive: bool = False) -> Any:
    wide = np.concatenate(
        [SPECIAL, RNG.normal(size=200), RNG.normal(size=100) * 1e-8, 10.0 ** RNG.uniform(-30, 30, 100)]
    )
    wide = np.abs(wide) if positive else wide
    with np.errstate(over="ignore"):
        return np.column_stack([wide, wide[::-1]]).astype(dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [*FLOAT, *KEEPING, *ROUNDING], ids=lambda f: f.__name__)
def test_function(function: Any, dtype: str) -> None:
    """Within 8 units in the last place, infinities and NaN included; the circle's functions within one of 1."""
    rows = rows_of(dtype)
    if function in (np.sin, np.cos, np.tan):
        rows = rows[np.abs(np.nan_to_num(rows, nan=0, posinf=0, neginf=0)).max(axis=1) < 1e9]
    eps = float(np.finfo(dtype).eps)
    tiny = float(np.finfo(dtype).tiny)
    circle = function in (np.sin, np.cos, np.tan)
    assert_same(
        FunctionTransformer(function), rows, rtol=(100 if circle else 8) * eps, atol=eps if circle else 8 * tiny
    )


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize(
    "function",
    [np.log1p, np.sqrt, np.abs, np.square, np.negative, np.floor, np.rint, np.tanh, np.isnan],
    ids=lambda f: f.__name__,
)
def test_function_of_whole_numbers(function: Any, dtype: str) -> None:
    rows = RNG.integers(0, 1000, (50, 2)).astype(dtype)
    assert_same(FunctionTransformer(function), rows, rtol=1e-15, atol=0)


@pytest.mark.parametrize("function", list(TESTS), ids=lambda f: f.__name__)
def test_tests_give_bools(function: Any) -> None:
    assert_same(FunctionTransformer(function), rows_of("float64"), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [(np.clip, {"a_min": -0.1, "a_max": 0.3}), (np.clip, {"min": 0, "max": None}), (np.round, {"decimals": 2}),
     (np.round, {"decimals": -1}), (np.around, {}), (np.nan_to_num, {}), (np.nan_to_num, {"nan": -1.0, "posinf": 7})],
)  # fmt: skip
def test_function_with_arguments(function: Any, arguments: dict[str, Any], dtype: str) -> None:
    rows = rows_of(dtype)
    rows = (
        rows[np.nanmax(np.abs(np.nan_to_num(rows, posinf=0, neginf=0)), axis=1) < 1e18]
        if function is np.round
        else rows
    )
    assert_same(FunctionTransformer(function, kw_args=arguments), rows, rtol=0, atol=0)


def test_identity_and_validated_input() -> None:
    rows = RNG.normal(size=(300, 2)).astype("float32")
    assert_same(FunctionTransformer(), rows, rtol=0, atol=0)
    assert_same(FunctionTransformer(np.square, validate=True).fit(rows), rows, rtol=0, atol=0)


def test_columns_of_a_frame_keep_their_dtypes() -> None:
    rows = pandas.DataFrame(
        {"a": RNG.gamma(1, size=50).astype("float32"), "b": np.arange(50), "c": RNG.gamma(1, size=50)}
    )
    assert_same(FunctionTransformer(np.log1p).fit(rows), rows, rtol=2e-7, atol=0)
    model = ColumnTransformer(
        [("log", FunctionTransformer(np.log1p), ["a", "c"]), ("abs", FunctionTransformer(np.abs), ["b"])]
    )
    assert_same(model.fit(rows), rows, rtol=2e-7, atol=0)


def double(x: Any) -> Any:
    return 2 * x


@pytest.mark.parametrize("function", [double, lambda x: x, np.sinh, np.cumsum])
def test_another_function_is_refused_by_name(function: Any) -> None:
    with pytest.raises(Unsupported) as fault:
        assert_same(FunctionTransformer(function), rows_of("float64", True)[50:60])
    assert function.__name__ in fault.value.why
    assert "numpy.log1p" in fault.value.why
