"""What the reference runs of XGBoost, LightGBM and CatBoost share: tables from feeds, and signatures of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import MISSING_TEXT, Category, Column, Signature, TensorSpec

Array = NDArray[Any]
#: An object of an untyped library.
Booster = Any


def tabular_signature(
    names: Sequence[str],
    dtype: str,
    categories: Mapping[int, tuple[Category, ...]],
    coded: Sequence[int],
    outputs: tuple[TensorSpec, ...],
    classes: tuple[Category, ...] = (),
) -> Signature:
    """One input X `[batch, n]`; or, where columns hold categories by value, one `[batch, 1]` input a column.

    dtype: of numbers, "float32" or "float64". categories: the values of a column in the order of their codes.
    coded: columns that hold category codes as numbers.
    """
    if not categories:
        columns = tuple(
            Column(name, "categorical" if index in coded else "numeric", "X", index, missing=True)
            for index, name in enumerate(names)
        )
        return Signature((TensorSpec("X", dtype, ("batch", len(names))),), outputs, columns, classes)
    inputs, columns_by_value = [], []
    for index, name in enumerate(names):
        known = categories.get(index, ())
        kind = "categorical" if known or index in coded else "numeric"
        inputs.append(TensorSpec(name, _dtype_of(known) if known else dtype, ("batch", 1)))
        missing = not known or isinstance(known[0], str)
        columns_by_value.append(Column(name, kind, name, 0, known, missing=missing))
    return Signature(tuple(inputs), outputs, tuple(columns_by_value), classes)


def _dtype_of(categories: tuple[Category, ...]) -> str:
    if all(isinstance(value, bool) for value in categories):
        return "bool"
    if all(isinstance(value, int) for value in categories):
        return "int64"
    return "float64" if all(isinstance(value, int | float) for value in categories) else "string"


def table(signature: Signature, feeds: Mapping[str, Array]) -> Any:
    """The rows as the library takes them: a matrix, or a data frame whose categories have their known values."""
    if not any(column.categories for column in signature.columns):
        return matrix(signature, feeds)
    import pandas

    made = {}
    for column in signature.columns:
        values = feeds[column.input][:, column.index]
        if column.categories:
            if values.dtype.kind in "OSU":
                values = np.array([None if value == MISSING_TEXT else value for value in values], object)
            known = [value if value in column.categories else None for value in values.tolist()]
            made[column.name] = pandas.Categorical(known, categories=list(column.categories))
        else:
            made[column.name] = values
    return pandas.DataFrame(made)


def matrix(signature: Signature, feeds: Mapping[str, Array]) -> Array:
    """The rows as one matrix of numbers."""
    arrays = [feeds[spec.name] for spec in signature.inputs]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)


def rows_of(feeds: Mapping[str, Array]) -> int:
    return len(next(iter(feeds.values())))


def empty(signature: Signature) -> dict[str, Array]:
    """No rows, no predictions: the libraries refuse empty tables."""
    made: dict[str, Array] = {}
    for spec in signature.outputs:
        sizes = [size if isinstance(size, int) else 0 for size in spec.shape]
        made[spec.name] = np.empty(sizes, object if spec.dtype == "string" else np.dtype(spec.dtype))
    return made


def classifier_outputs(dtype: str, classes: int, label: str = "int64") -> tuple[TensorSpec, ...]:
    """`label [batch]` and `probabilities [batch, classes]`."""
    return (
        TensorSpec("label", label, ("batch",), "label"),
        TensorSpec("probabilities", dtype, ("batch", classes), "probabilities"),
    )


def value_outputs(dtype: str, width: int) -> tuple[TensorSpec, ...]:
    """`prediction [batch]`, or `[batch, width]` for several."""
    return (TensorSpec("prediction", dtype, ("batch",) if width == 1 else ("batch", width), "value"),)


def narrow(signature: Signature) -> bool:
    """Whether floats leave as float32: where every input is float32."""
    return all(spec.dtype == "float32" for spec in signature.inputs)


def named(signature: Signature, by_role: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays by the names, dtypes and shapes of the signature's outputs.

    Raises Unsupported for an output whose role the model does not have: that of a file made elsewhere, which does not
    say what it means, or of another model.
    """
    made = {}
    for spec in signature.outputs:
        role = spec.role or (next(iter(by_role)) if len(by_role) == len(signature.outputs) == 1 else "")
        if role not in by_role:
            raise Unsupported(
                f"the output {spec.name!r} cannot be told apart: the model gives {', '.join(by_role)}",
                "compare with a file that mlpack wrote: mlpack convert",
                why="nothing in the file says what the output means" if not role else f"the file says: {role}",
            )
        array = by_role[role]
        if len(spec.shape) == 1:
            array = array.reshape(len(array))
        elif array.ndim == 1:
            array = array[:, None]
        if spec.dtype == "string":
            array = array.astype(object)
        elif role == "label" or spec.dtype.startswith("float"):  # a number that was cut to a whole one is another
            array = array.astype(np.dtype(spec.dtype))
        made[spec.name] = array
    return made


def binary(positive: Array) -> Array:
    """The probabilities of both classes from that of the second."""
    return np.stack([1 - positive, positive], axis=1)
