"""The inputs of a scikit-learn model: from what it knows of its columns, from the data, and from the options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.sources.sklearn_columns import explore
from mlpack_edge.converters.sources.sklearn_facts import ColumnFacts
from mlpack_edge.converters.sources.source import SourceOptions
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.data import Table, tensor_dtype
from mlpack_edge.runtimes.sklearn.estimator import Estimator, of_first_step, takes_documents

Array = NDArray[Any]


def inputs_of(estimator: Estimator, options: SourceOptions) -> tuple[Signature, list[ColumnFacts], list[str]]:
    """The signature without outputs, the facts of each column, and what the user should know.

    Raises BadInput where the data are not what the model was trained on, and where nothing tells its columns.
    """
    found = of_first_step(estimator, "feature_names_in_")
    names = None if found is None else [str(name) for name in found]
    width = len(names) if names else _width(estimator, options.data)
    facts = explore(estimator, names, width)
    dtypes, chosen = _column_dtypes(names, facts, options)
    notes = []
    floats = sorted({dtype for dtype in dtypes if dtype.startswith("float")})
    if chosen and floats:
        notes.append(
            f"numeric inputs are taken as {floats[0]}, since nothing says what the model was trained on; "
            "--data or --dtype says otherwise"
        )
    if not options.matrix and names is None and len(set(dtypes)) > 1:
        names = _own_names(width)
    elif names is None or options.matrix:
        return _matrix(names or _own_names(width), dtypes, facts, options.dtype), facts, notes
    _refuse_names(names)
    inputs = tuple(TensorSpec(name, dtype, ("batch", 1)) for name, dtype in zip(names, dtypes, strict=True))
    columns = tuple(Column(name, fact.kind, name, 0, fact.categories) for name, fact in zip(names, facts, strict=True))
    return Signature(inputs, (), columns), facts, notes


def _own_names(width: int) -> list[str]:
    """What columns are called that nobody named."""
    return [f"x{place}" for place in range(width)]


def _width(estimator: Estimator, data: Table | None) -> int:
    """How many columns a model takes that does not know their names."""
    width = of_first_step(estimator, "n_features_in_")
    if width is not None:
        return int(width)
    if takes_documents(estimator):
        return 1
    if data is not None and data.columns:
        return len(data.columns)
    first = next(iter(data.arrays.values())) if data is not None and data.arrays else None
    if first is not None and first.ndim == 2:
        return int(first.shape[1])
    raise BadInput(
        f"the {type(estimator).__name__} does not say how many columns it takes",
        "pass rows that it takes with --data",
    )


def _refuse_names(names: Sequence[str]) -> None:
    """Each column becomes an input of its name, so that needs one, and of its own."""
    hint = "rename the columns and train again, or pass --matrix: one input for all columns"
    if "" in names:
        raise BadInput(f"column {list(names).index('')} of the model has an empty name, which no input can have", hint)
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise BadInput(f"two columns of the model are called {twice!r}", "rename the columns and train again")


def _matrix(names: Sequence[str], dtypes: Sequence[str], facts: list[ColumnFacts], wanted: str | None) -> Signature:
    """One input X `[batch, columns]`, of the dtype that holds all columns."""
    if len(set(dtypes)) > 1 and "string" in dtypes:
        raise BadInput(
            f"the column {names[dtypes.index('string')]!r} holds text, so one matrix cannot hold all columns",
            "leave --matrix out: each column is then an input of its own",
        )
    dtype = dtypes[0]
    if len(set(dtypes)) > 1:
        dtype = wanted or str(np.result_type(*map(np.dtype, dtypes)))
    columns = tuple(
        Column(name, fact.kind, "X", i, fact.categories)
        for i, (name, fact) in enumerate(zip(names, facts, strict=True))
    )
    return Signature((TensorSpec("X", dtype, ("batch", len(names))),), (), columns)


def _column_dtypes(names: list[str] | None, facts: list[ColumnFacts], options: SourceOptions) -> tuple[list[str], bool]:
    """The element type of each column, and whether it was ours to choose.

    --dtype says it for numbers that are no categories; else the data do; else what the steps need.
    """
    data, wanted = options.data, options.dtype
    if data is not None and names and data.columns:
        absent = [name for name in names if name not in data.columns]
        if absent:
            raise BadInput(
                f"{data.path} has no column {absent[0]!r}, on which the model was trained",
                "name the columns as in training",
            )
        arrays = {name: data.columns[name] for name in names}
    elif data is not None and set(data.columns) >= set(_own_names(len(facts))):
        arrays = {name: data.columns[name] for name in _own_names(len(facts))}
    elif data is not None and data.columns and len(data.columns) == len(facts):
        arrays = dict(data.columns)
    elif data is not None and data.arrays:
        given = tensor_dtype(next(iter(data.arrays.values())))
        return [wanted if wanted and given != "string" else given] * len(facts), False
    else:
        default = wanted or ("float64" if names else "float32")
        return [fact.dtype(default) for fact in facts], wanted is None
    dtypes = []
    for (name, array), fact in zip(arrays.items(), facts, strict=True):
        _refuse_other_kind(data, name, array, fact)
        numeric = array.dtype.kind in "fiu" and fact.kind != "categorical"
        dtypes.append(wanted if wanted and numeric else tensor_dtype(array))
    if not names and "string" not in dtypes:
        return [str(np.result_type(*map(np.dtype, dtypes)))] * len(dtypes), False
    return dtypes, False


def _refuse_other_kind(data: Table, name: str, array: Array, fact: ColumnFacts) -> None:
    """Numbers where the model was trained on text, or text where it was trained on numbers (BadInput)."""
    texts = [value for value in fact.categories if isinstance(value, str)]
    if array.dtype.kind in "fiub":
        if fact.kind != "text" and not (texts and len(texts) == len(fact.categories)):
            return
        if array.dtype.kind == "f" and np.isnan(array).all():
            return
        raise BadInput(
            f"{data.path}: column {name!r} holds numbers, the model was trained on text there"
            + (f", such as {texts[0]!r}" if texts else ""),
            "a CSV file does not tell the text 01 from the number 1: pass parquet with the column as text"
            if data.path.suffix.lower() in (".csv", ".txt")
            else "pass the column as text, as in training",
        )
    numbers = fact.kind == "numeric" and (fact.numbers or bool(fact.edges))
    coded = fact.kind == "categorical" and bool(fact.categories) and not texts
    first = next((cell for cell in array.ravel().tolist() if isinstance(cell, str)), None)
    if (numbers or coded) and first is not None:
        raise BadInput(
            f"{data.path}: column {name!r} holds text, such as {first[:40]!r}; the model was trained on numbers there"
            + (f", such as {fact.categories[0]!r}" if coded else ""),
            "pass the column as numbers, as in training; empty cells stand for missing ones",
        )
