"""Fitted categories as lookup tables: which row of a table a raw value stands for.

ONNX Runtime's LabelEncoder (ai.onnx.ml 4) looks a key up by equality in strings, int64 and double; NaN equals NaN and
-0.0 equals 0.0, as scikit-learn has it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from mlpack_edge.converters.onnx_graph import ML, Graph, Value
from mlpack_edge.converters.tensor import Tensor, taken
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import MISSING_TEXT

Array = NDArray[Any]


def lookup(graph: Graph, column: Value, categories: Array, values: Array, default: float) -> Tensor:
    """`values[j]` where the column `[batch, 1]` equals `categories[j]`, else `default`; `[batch, 1]`.

    column: text or any number; categories: as scikit-learn keeps them (sorted, a missing one last); values: int64 or
    float64. Numbers are compared in the dtype numpy gives to the pair, as searchsorted and isin do. In text,
    MISSING_TEXT stands for the category NaN or None. Raises Unsupported where the kinds do not fit.
    """
    key_dtype, keys = _keys(column, categories)
    first = _first_places(keys)
    # bool has no cast to a key type of its own; int64 holds it
    cast = graph.cast(column, key_dtype)
    stored = np.asarray(values)[first].astype(np.float64 if np.asarray(values).dtype.kind == "f" else np.int64)
    name = graph.op(
        "LabelEncoder",
        cast,
        domain=ML,
        keys_tensor=_tensor("keys", [keys[index] for index in first], key_dtype),
        values_tensor=numpy_helper.from_array(stored, "values"),
        default_tensor=numpy_helper.from_array(np.array([default], stored.dtype), "default"),
    )
    return Tensor(graph, name, str(stored.dtype))


def _keys(column: Value, categories: Array) -> tuple[str, list[Any]]:
    items = categories.tolist()
    if column.dtype == "string":
        return "string", _text_keys(items)
    if categories.dtype.kind not in "biuf":
        if any(not isinstance(item, bool | int | float) for item in items):
            odd = next(item for item in items if not isinstance(item, bool | int | float))
            raise Unsupported(f"a column of {column.dtype} meets the category {odd!r}, which is no number")
        categories = np.array(items, np.float64 if any(isinstance(item, float) for item in items) else np.int64)
    common = np.result_type(np.dtype(column.dtype), categories.dtype)
    if common == np.uint64:
        raise Unsupported("categories are of type uint64", "fit on int64")
    if common.kind == "f":
        return "float64", categories.astype(np.float64).tolist()
    return "int64", categories.astype(np.int64).tolist()


def _text_keys(items: list[Any]) -> list[str]:
    missing = [item for item in items if item is None or (isinstance(item, float) and math.isnan(item))]
    if len(missing) + (MISSING_TEXT in items) > 1:
        raise Unsupported(
            "the categories hold more than one of NaN, None and the empty text; a tensor of strings cannot tell them apart",
            "replace them before fitting",
        )
    odd = [item for item in items if not isinstance(item, str) and item not in missing]
    if odd:
        raise Unsupported(
            f"a text column meets the category {odd[0]!r}, which is no text", "fit on text, with NaN for missing values"
        )
    return [item if isinstance(item, str) else MISSING_TEXT for item in items]


def _first_places(keys: list[Any]) -> list[int]:
    """Where each key stands first: different integers may be one number in float64."""
    seen: set[Any] = set()
    kept = []
    for index, key in enumerate(keys):
        if key not in seen:
            seen.add(key)
            kept.append(index)
    return kept


def _tensor(name: str, keys: list[Any], dtype: str) -> TensorProto:
    if dtype == "string":
        # onnx.helper.make_tensor goes through numpy's byte strings, which lose a NUL at the end
        texts = [key.encode("utf-8") for key in keys]
        return TensorProto(name=name, data_type=TensorProto.STRING, dims=[len(keys)], string_data=texts)
    return numpy_helper.from_array(np.array(keys, np.dtype(dtype)), name)


#: Up to this many columns, indicators are read from a table of rows, which is faster and takes at most 34 KB.
WIDEST_TABLE = 64


def one_hot(code: Tensor, width: int, dtype: str, refused: float | None = None) -> Tensor:
    """Indicator columns `[batch, width]` in `dtype` of a code `[batch, 1]` int64: `width` gives zeros.

    refused: what a code of `width + 1` gives in every column.
    """
    graph = code.graph
    if width <= WIDEST_TABLE:
        rows = [*np.eye(width), np.zeros(width)] + ([] if refused is None else [np.full(width, refused)])
        return taken(graph, np.stack(rows).astype(np.dtype(dtype)), code.vector())
    made = code.equals(np.arange(width).reshape(1, -1)).cast(dtype)
    if refused is None:
        return made
    strange = code.equals(width + 1)
    # NaN is added, which is four times faster than a Where over all columns
    return made + strange.where(refused, 0.0, dtype) if np.isnan(refused) else strange.where(refused, made, dtype)
