"""A fitted scikit-learn estimator as a whole ONNX model with named inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper

from mlpack_edge.converters.frame import Block, Frame, Prediction
from mlpack_edge.converters.onnx_from_sklearn.scope import Estimator
from mlpack_edge.converters.onnx_from_sklearn.walk import convert_estimator
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET, ONNX_TYPE, Graph, Value
from mlpack_edge.core.signature import Signature, TensorSpec


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """taps: the tensor that holds what the step at a path gives (`pipeline.steps[0]`), before the outputs."""

    model: onnx.ModelProto
    signature: Signature
    taps: dict[str, str]


def onnx_from_sklearn(estimator: Estimator, signature: Signature, opset: int = DEFAULT_OPSET) -> BuiltModel:
    """Convert a fitted estimator.

    signature: its inputs (one `[batch, features]` tensor, or one `[batch, 1]` tensor a column) and columns; the
    outputs are filled in: `label`, `probabilities`, `scores`, `prediction` or `transformed`. Floats leave as float32
    where every input is float32, else as scikit-learn gives them, in float64.
    Raises Unsupported, naming the step.
    """
    graph = Graph(opset)
    blocks = []
    for spec in signature.inputs:
        names = tuple(column.name for column in signature.columns if column.input == spec.name)
        width = spec.shape[1]
        assert isinstance(width, int)
        blocks.append(Block(Value(spec.name, spec.dtype, width), names or tuple(f"x{i}" for i in range(width))))
    root = "pipeline" if type(estimator).__name__ == "Pipeline" else "model"
    made = convert_estimator(graph, estimator, Frame(tuple(blocks)), root)
    outputs = _outputs(graph, made)
    narrow = all(spec.dtype == "float32" for spec in signature.inputs)
    specs, infos = [], []
    for name, role, value in outputs:
        kept = graph.cast(value, "float32") if narrow and value.dtype == "float64" and role != "label" else value
        graph.nodes.append(helper.make_node("Identity", [kept.name], [name], name=f"{name}/output"))
        shape: tuple[int | str, ...] = ("batch",) if kept.width is None else ("batch", kept.width)
        specs.append(TensorSpec(name, kept.dtype, shape, role))
        infos.append(helper.make_tensor_value_info(name, ONNX_TYPE[kept.dtype], shape))
    inputs = [helper.make_tensor_value_info(spec.name, ONNX_TYPE[spec.dtype], spec.shape) for spec in signature.inputs]
    model = graph.model(inputs, infos)
    produced = {name for node in model.graph.node for name in node.output}
    taps = {path: value.name for path, value in graph.taps.items() if value.name in produced}
    classes = _classes(estimator) if isinstance(made, Prediction) and made.probabilities is not None else ()
    return BuiltModel(model, replace(signature, outputs=tuple(specs), classes=classes), taps)


def _outputs(graph: Graph, made: Frame | Prediction) -> list[tuple[str, str, Value]]:
    """(name, role, value) of each output in a fixed order; scores only where there are no probabilities."""
    if isinstance(made, Frame):
        return [("transformed", "transformed", made.dense(graph))]
    named = [
        ("label", "label", made.label),
        ("probabilities", "probabilities", made.probabilities),
        ("scores", "scores", None if made.probabilities else made.scores),
        ("prediction", "value", made.value),
    ]
    return [(name, role, value) for name, role, value in named if value is not None]


def _classes(estimator: Estimator) -> tuple[str | int | float | bool, ...]:
    classes = getattr(estimator, "classes_", None)
    return tuple(np.asarray(classes).tolist()) if classes is not None and np.ndim(classes) == 1 else ()
