"""Columns of a table as the number matrix a booster reads, and its predictions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from mlpack_edge.converters.frame import Block, Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.scope import pick_label
from mlpack_edge.converters.onnx_graph import ML, Graph, Value
from mlpack_edge.converters.trees.boosted import Boosted, Category
from mlpack_edge.converters.trees.margins import margins
from mlpack_edge.converters.trees.objectives import Outcome, outcome, two_columns
from mlpack_edge.core.errors import Unsupported


def margins_dtype(boosted: Boosted) -> str:
    """The type to which the library casts its input first."""
    return "float32" if boosted.sum_dtype == "float32" else "float64"


def number_matrix(graph: Graph, boosted: Boosted, frame: Frame, by_value: Collection[int]) -> Value:
    """The frame as `[batch, features]` numbers; the columns `by_value` hold category values and become codes.

    A value that is no known category becomes NaN, as pandas makes it when a column is given its known categories.
    Raises Unsupported where the frame has another width, or text in a column without known categories.
    """
    if frame.width != boosted.features:
        raise Unsupported(f"the model has {boosted.features} columns, it is given {frame.width}")
    known = dict(boosted.categories)
    if not any(index in known for index in by_value):
        return frame.dense(graph) if not frame.is_text else frame.dense(graph, margins_dtype(boosted))
    dtype = margins_dtype(boosted)
    blocks = []
    names = frame.names
    for index, column in enumerate(frame.columns(graph)):
        codes = known.get(index) if index in by_value else None
        made = column if codes is None else _codes(graph, column, codes, names[index])
        blocks.append(Block(made, (names[index],)))
    return Frame(tuple(blocks)).dense(graph, dtype)


def _codes(graph: Graph, column: Value, categories: tuple[Category, ...], name: str) -> Value:
    """Category values `[batch, 1]` as their places in `categories`, NaN where they are none of them."""
    text = all(isinstance(value, str) for value in categories)
    if not text and any(isinstance(value, str) for value in categories):
        raise Unsupported(f"the categories of column {name!r} are text and numbers mixed", "use one type")
    if text != (column.dtype == "string"):
        kinds = ("text", "numbers") if text else ("numbers", "text")
        raise Unsupported(f"column {name!r} holds {kinds[1]}, the model was trained on categories that are {kinds[0]}")
    if text:
        encoded = [str(value).encode("utf-8") for value in categories]
        keys = TensorProto(data_type=TensorProto.STRING, dims=[len(encoded)], string_data=encoded)
    else:
        keys = numpy_helper.from_array(np.array([float(value) for value in categories]))
    places = np.arange(len(categories), dtype=np.float64)
    coded = graph.op(
        "LabelEncoder", column if text else graph.cast(column, "float64"), domain=ML,
        keys_tensor=keys, values_tensor=numpy_helper.from_array(places),
        default_tensor=numpy_helper.from_array(np.array([np.nan])),
    )  # fmt: skip
    return Value(coded, "float64", 1)


def predict(graph: Graph, library: str, boosted: Boosted, x: Value) -> Outcome:
    """What the library's own `predict` gives for a number matrix."""
    return outcome(library, boosted.objective, margins(graph, boosted, x), boosted.outputs, boosted.parameter)


def prediction(graph: Graph, made: Outcome, outputs: int, classes: Any) -> Prediction:
    """An outcome as the outputs of a model; `classes` are the labels of the classes."""
    if made.value is not None:
        value = made.value.vector() if outputs == 1 else made.value
        return Prediction(value=value.value(outputs))
    assert made.index is not None
    label = pick_label(graph, made.index.name, classes)
    if made.scores is not None:
        return Prediction(label=label, scores=made.scores.vector().value())
    if made.positive is not None:
        return Prediction(label=label, probabilities=two_columns(made.positive).value(2))
    assert made.probabilities is not None
    return Prediction(label=label, probabilities=made.probabilities.value(outputs))
