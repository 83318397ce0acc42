"""FunctionTransformer of common numpy functions.

A function is known by identity, not by name. Floats keep their dtype as in numpy; float32 is computed in float64 and
rounded once, which is within the last place of numpy's own float32 loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpack_edge.converters import elementwise
from mlpack_edge.converters.frame import Block, Frame, frame_of
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.tensor import Tensor, tensor

Made = Callable[[Tensor], Tensor]
#: Functions to a float of the same width.
FLOAT: dict[Any, Made] = {
    np.log: lambda x: x.log(),
    np.log1p: elementwise.log1p,
    np.log2: lambda x: elementwise.log_to_base(x, 2.0),
    np.log10: lambda x: elementwise.log_to_base(x, 10.0),
    np.exp: lambda x: x.exp(),
    np.expm1: elementwise.expm1,
    np.sqrt: lambda x: x.sqrt(),
    np.cbrt: elementwise.cube_root,
    np.sin: lambda x: elementwise.unary("Sin", x),
    np.cos: lambda x: elementwise.unary("Cos", x),
    np.tan: lambda x: elementwise.unary("Sin", x) / elementwise.unary("Cos", x),
    np.tanh: lambda x: x.tanh(),
    np.arcsinh: elementwise.arcsinh,
    np.degrees: lambda x: x * (180.0 / np.pi),
    np.rad2deg: lambda x: x * (180.0 / np.pi),
    np.radians: lambda x: x * (np.pi / 180.0),
    np.deg2rad: lambda x: x * (np.pi / 180.0),
    np.fabs: lambda x: x.abs(),
}
#: Functions that keep the dtype, also of integers.
KEEPING: dict[Any, Made] = {
    np.abs: lambda x: x.abs(),
    np.square: lambda x: x * x,
    np.negative: lambda x: -x,
    np.positive: lambda x: x,
}
#: Functions that keep floats; of integers only where the installed numpy does not change them.
ROUNDING: dict[Any, Made] = {
    np.floor: lambda x: elementwise.unary("Floor", x),
    np.ceil: lambda x: elementwise.unary("Ceil", x),
    np.rint: elementwise.rint,
    np.trunc: elementwise.trunc,
    np.sign: elementwise.sign,
    np.reciprocal: lambda x: 1.0 / x,
}
#: Functions to a bool.
TESTS: dict[Any, Made] = {
    np.isnan: lambda x: x.is_nan(),
    np.isinf: lambda x: x.abs().equals(np.inf),
    np.isfinite: lambda x: x.abs() < np.inf,
}
KNOWN = [*FLOAT, *KEEPING, *ROUNDING, *TESTS, np.clip, np.round, np.around, np.nan_to_num]


def function_transformer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """FunctionTransformer.transform: each column of a data frame in its own dtype, a matrix in one."""
    if estimator.func is None:
        return frame
    if getattr(estimator, "feature_names_in_", None) is None or estimator.validate:
        frame = frame_of(frame.dense(scope.graph), frame.names)
    blocks = []
    for block in frame.blocks:
        if block.value.dtype == "string":
            raise scope.refuse(estimator, f"{_name(estimator.func)} meets the text column {block.names[0]!r}")
        made = _apply(scope, estimator, tensor(scope.graph, block.value))
        blocks.append(Block(made.value(len(block.names)), block.names))
    return Frame(tuple(blocks))


def _apply(scope: Scope, estimator: Estimator, x: Tensor) -> Tensor:
    function, arguments = estimator.func, dict(estimator.kw_args or {})
    try:
        known = function in KNOWN
    except TypeError:  # unhashable, so no function of numpy
        known = False
    if not known:
        raise scope.refuse(
            estimator,
            f"it calls {_name(function)}, which has no converter; these have: "
            + ", ".join(sorted(_name(item) for item in KNOWN)),
        )
    result = str(function(np.ones(1, np.dtype(x.dtype)), **arguments).dtype)
    whole = np.dtype(x.dtype).kind in "iub"
    if result == "float16" or (whole and result == "float32"):
        raise scope.refuse(estimator, f"numpy makes {result} of {x.dtype} here; cast the input to float64 before")
    if function is np.clip:
        return _clip(scope, estimator, x, arguments)
    if function in (np.round, np.around):
        return _round(scope, estimator, x, arguments)
    if function is np.nan_to_num:
        return _nan_to_num(scope, estimator, x, arguments)
    if arguments:
        raise scope.refuse(estimator, f"kw_args={arguments!r} of {_name(function)}")
    if function in TESTS:
        return TESTS[function](x.cast("float64"))
    if whole and result == x.dtype:
        if function in KEEPING:
            return KEEPING[function](x)
        if function in ROUNDING and function not in (np.sign, np.reciprocal):
            return x
        raise scope.refuse(estimator, f"{_name(function)} of {x.dtype}; cast the input to float64 before")
    table = {**FLOAT, **KEEPING, **ROUNDING}
    return table[function](x.cast("float64")).cast(result)


def _clip(scope: Scope, estimator: Estimator, x: Tensor, arguments: dict[str, Any]) -> Tensor:
    low = arguments.pop("a_min", arguments.pop("min", None))
    high = arguments.pop("a_max", arguments.pop("max", None))
    if arguments or not all(item is None or isinstance(item, int | float) for item in (low, high)):
        raise scope.refuse(estimator, "kw_args of numpy.clip other than the numbers a_min and a_max")
    widens = x.dtype == "float32" and any(type(item) is np.float64 for item in (low, high))
    if np.dtype(x.dtype).kind != "f" or widens:
        raise scope.refuse(estimator, f"numpy.clip of {x.dtype} with these limits; cast the input to float64 before")
    made = x if low is None else x.most(float(low))
    made = made if high is None else made.least(float(high))
    return x.is_nan().where(x, made)


def _round(scope: Scope, estimator: Estimator, x: Tensor, arguments: dict[str, Any]) -> Tensor:
    """numpy.round scales, rounds to the nearest even and scales back, in the dtype of x."""
    decimals = arguments.pop("decimals", 0)
    if arguments or not isinstance(decimals, int) or np.dtype(x.dtype).kind != "f":
        raise scope.refuse(estimator, f"numpy.round of {x.dtype} with kw_args={estimator.kw_args!r}")
    factor = 10.0 ** abs(decimals)
    if decimals == 0:
        return elementwise.rint(x)
    return elementwise.rint(x * factor) / factor if decimals > 0 else elementwise.rint(x / factor) * factor


def _nan_to_num(scope: Scope, estimator: Estimator, x: Tensor, arguments: dict[str, Any]) -> Tensor:
    if np.dtype(x.dtype).kind != "f":
        return x
    limits = np.finfo(np.dtype(x.dtype))
    nan, posinf, neginf = (arguments.pop(name, None) for name in ("nan", "posinf", "neginf"))
    arguments.pop("copy", None)
    numbers = (
        0.0 if nan is None else nan,
        limits.max if posinf is None else posinf,
        limits.min if neginf is None else neginf,
    )
    if arguments or not all(isinstance(item, int | float | np.floating) for item in numbers):
        raise scope.refuse(estimator, f"kw_args={estimator.kw_args!r} of numpy.nan_to_num")
    made = x.is_nan().where(float(numbers[0]), x)
    made = x.equals(np.inf).where(float(numbers[1]), made)
    return x.equals(-np.inf).where(float(numbers[2]), made)


def _name(function: Any) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{getattr(function, '__qualname__', None) or getattr(function, '__name__', repr(function))}"


CONVERTERS: dict[str, Converter] = {"sklearn.preprocessing.FunctionTransformer": function_transformer}
