"""Pipelines, column transformers and unions: what only routes columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpack_edge.converters.frame import Block, Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.scope import Converter, Estimator, Scope
from mlpack_edge.converters.onnx_graph import Value


def pipeline(scope: Scope, estimator: Estimator, frame: Frame) -> Frame | Prediction:
    """Each step on what the last one gave: all but the last transform, the last gives what is asked for."""
    for index, (name, step) in enumerate(estimator.steps):
        if step is None or step == "passthrough":
            continue
        suffix = f".steps[{index}]"
        if index == len(estimator.steps) - 1:
            return scope.convert(step, frame, suffix, name)
        frame = scope.transform(step, frame, suffix, name)
    return frame


def column_transformer(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """The chosen columns of each part, side by side in the fitted order."""
    blocks: list[Block] = []
    for index, (name, step, columns) in enumerate(estimator.transformers_):
        if isinstance(step, str) and step == "drop":
            continue
        picked = frame.select(scope.graph, column_indices(scope, estimator, frame, columns))
        if picked.width == 0:
            continue
        if isinstance(step, str) and step == "passthrough":
            blocks.extend(picked.blocks)
        else:
            blocks.extend(scope.transform(step, picked, f".transformers_[{index}]", name).blocks)
    return Frame(tuple(blocks))


def column_indices(scope: Scope, estimator: Estimator, frame: Frame, columns: Any) -> list[int]:
    """Fitted column selectors (names, positions, slices, masks) as positions in `frame`."""
    if isinstance(columns, str) or np.isscalar(columns):
        columns = [columns]
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            names = list(frame.names)
            start = names.index(columns.start) if columns.start is not None else 0
            stop = names.index(columns.stop) + 1 if columns.stop is not None else len(names)
            return list(range(start, stop, columns.step or 1))
        return list(range(frame.width))[columns]
    chosen = list(np.asarray(columns, dtype=object).tolist())
    if chosen and all(isinstance(item, bool) for item in chosen):
        return [index for index, keep in enumerate(chosen) if keep]
    indices = []
    for item in chosen:
        if isinstance(item, str):
            if item not in frame.names:
                raise scope.refuse(
                    estimator, f"it selects the column {item!r}, the step before gives {list(frame.names)}"
                )
            indices.append(frame.names.index(item))
        else:
            indices.append(int(item) % frame.width if frame.width else int(item))
    return indices


def feature_union(scope: Scope, estimator: Estimator, frame: Frame) -> Frame:
    """The outputs of all parts side by side, each times its weight."""
    blocks: list[Block] = []
    weights = estimator.transformer_weights or {}
    for index, (name, step) in enumerate(estimator.transformer_list):
        if isinstance(step, str) and step == "drop":
            continue
        suffix = f".transformer_list[{index}]"
        made = frame if isinstance(step, str) else scope.transform(step, frame, suffix, name)
        if name in weights:
            value = made.dense(scope.graph)
            dtype = value.dtype if value.dtype in ("float32", "float64") else "float64"
            scaled = scope.graph.op(
                "Mul", scope.graph.cast(value, dtype), scope.graph.const(np.array(weights[name], dtype))
            )
            made = Frame((Block(Value(scaled, dtype, value.width), made.names),))
        blocks.extend(made.blocks)
    return Frame(tuple(blocks))


CONVERTERS: dict[str, Converter] = {
    "sklearn.pipeline.Pipeline": pipeline,
    "sklearn.compose.ColumnTransformer": column_transformer,
    "sklearn.pipeline.FeatureUnion": feature_union,
}
