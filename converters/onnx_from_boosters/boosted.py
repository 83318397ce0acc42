"""A parsed booster as a whole ONNX model with named inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.converters.built import BuiltModel, frame_from_inputs, model_from_result
from mlpack_edge.converters.onnx_graph import Graph
from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.booster_frames import number_matrix, predict, prediction
from mlpack_edge.core.signature import Signature


def onnx_from_boosted(
    library: str, boosted: Boosted, signature: Signature, opset: int, classes: Any = None
) -> BuiltModel:
    """Write the model of a bare booster file.

    library: "XGBoost", "LightGBM" or "CatBoost". signature: the inputs and columns; a column that has `categories`
    is given by value, any other categorical one by code. classes: the labels; by default 0, 1, ...
    Floats leave as the library gives them; as float32 where every input is float32.
    """
    graph = Graph(opset, reserved=[spec.name for spec in signature.inputs])
    frame = frame_from_inputs(signature)
    by_value = [
        index for index, name in enumerate(frame.names)
        for column in signature.columns if column.name == name and column.categories
    ]  # fmt: skip
    rows = number_matrix(graph, boosted, frame, by_value)
    made = predict(graph, library, boosted, rows)
    labels = np.arange(max(boosted.outputs, 2)) if classes is None else np.asarray(classes)
    given = prediction(graph, made, boosted.outputs, labels)
    return model_from_result(graph, given, signature, labels.tolist())
