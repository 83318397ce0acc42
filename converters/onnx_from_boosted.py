"""A parsed booster as a whole ONNX model with named inputs and outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import helper

from mlpack_edge.converters.frame import Block, Frame
from mlpack_edge.converters.onnx_from_sklearn.model import BuiltModel
from mlpack_edge.converters.onnx_graph import ONNX_TYPE, Graph, Value
from mlpack_edge.converters.trees.boosted import Boosted
from mlpack_edge.converters.trees.booster_frames import number_matrix, predict, prediction
from mlpack_edge.core.signature import Signature, TensorSpec


def onnx_from_boosted(
    library: str, boosted: Boosted, signature: Signature, opset: int, classes: Any = None
) -> BuiltModel:
    """Write the model of a bare booster file.

    library: "XGBoost", "LightGBM" or "CatBoost". signature: the inputs and columns; a column that has `categories`
    is given by value, any other categorical one by code. classes: the labels; by default 0, 1, ...
    Floats leave as the library gives them; as float32 where every input is float32.
    """
    graph = Graph(opset)
    blocks: list[Block] = []
    by_value: list[int] = []
    for spec in signature.inputs:
        columns = [column for column in signature.columns if column.input == spec.name]
        width = spec.shape[1]
        assert isinstance(width, int)
        start = sum(len(block.names) for block in blocks)
        by_value += [start + column.index for column in columns if column.categories]
        names = tuple(column.name for column in columns) or tuple(f"x{index}" for index in range(width))
        blocks.append(Block(Value(spec.name, spec.dtype, width), names))
    rows = number_matrix(graph, boosted, Frame(tuple(blocks)), by_value)
    made = predict(graph, library, boosted, rows)
    labels = np.arange(max(boosted.outputs, 2)) if classes is None else np.asarray(classes)
    given = prediction(graph, made, boosted.outputs, labels)
    narrow = all(spec.dtype == "float32" for spec in signature.inputs)
    named = (
        ("label", "label", given.label), ("probabilities", "probabilities", given.probabilities),
        ("scores", "scores", given.scores), ("prediction", "value", given.value),
    )  # fmt: skip
    specs, infos = [], []
    for name, role, value in named:
        if value is None:
            continue
        kept = graph.cast(value, "float32") if narrow and value.dtype == "float64" and role != "label" else value
        graph.nodes.append(helper.make_node("Identity", [kept.name], [name], name=f"{name}/output"))
        shape: tuple[int | str, ...] = ("batch",) if kept.width is None else ("batch", kept.width)
        specs.append(TensorSpec(name, kept.dtype, shape, role))
        infos.append(helper.make_tensor_value_info(name, ONNX_TYPE[kept.dtype], shape))
    inputs = [helper.make_tensor_value_info(spec.name, ONNX_TYPE[spec.dtype], spec.shape) for spec in signature.inputs]
    known = tuple(labels.tolist()) if given.probabilities is not None else ()
    return BuiltModel(graph.model(inputs, infos), replace(signature, outputs=tuple(specs), classes=known), {})
