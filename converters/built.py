"""From a signature's inputs to a graph, and from what a graph gives to a whole model with named outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx
from onnx import helper

from mlpack_edge.converters.frame import Block, Frame, Prediction
from mlpack_edge.converters.onnx_graph import ONNX_TYPE, Graph, Value
from mlpack_edge.core.signature import Category, Signature, TensorSpec


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """taps: the tensor that holds what the step at a path gives (`pipeline.steps[0]`), before the outputs."""

    model: onnx.ModelProto
    signature: Signature
    taps: dict[str, str]


def frame_from_inputs(signature: Signature) -> Frame:
    """The inputs of a tabular signature, a block each; columns without a name are x0, x1, ..."""
    blocks = []
    for spec in signature.inputs:
        names = tuple(column.name for column in signature.columns if column.input == spec.name)
        width = spec.shape[1]
        assert isinstance(width, int)
        blocks.append(Block(Value(spec.name, spec.dtype, width), names or tuple(f"x{i}" for i in range(width))))
    return Frame(tuple(blocks))


def model_from_result(
    graph: Graph, made: Frame | Prediction, signature: Signature, classes: Sequence[Category]
) -> BuiltModel:
    """Name what the graph gives: `label`, `probabilities` or `scores`, `prediction`, `transformed`.

    An output whose name an input has already gets "_output" behind it, until no input is called so. Floats leave as float32 where every input is
    float32, else as they are. classes: the labels in the order of the columns of `probabilities`.
    """
    narrow = all(spec.dtype == "float32" for spec in signature.inputs)
    taken = {spec.name for spec in signature.inputs}
    specs, infos = [], []
    for wanted, role, value in _outputs(graph, made):
        name = wanted
        while name in taken:
            name += "_output"
        kept = graph.cast(value, "float32") if narrow and value.dtype == "float64" and role != "label" else value
        graph.nodes.append(helper.make_node("Identity", [kept.name], [name], name=f"{name}/output"))
        shape: tuple[int | str, ...] = ("batch",) if kept.width is None else ("batch", kept.width)
        specs.append(TensorSpec(name, kept.dtype, shape, role))
        infos.append(helper.make_tensor_value_info(name, ONNX_TYPE[kept.dtype], shape))
    inputs = [helper.make_tensor_value_info(spec.name, ONNX_TYPE[spec.dtype], spec.shape) for spec in signature.inputs]
    model = graph.model(inputs, infos)
    produced = {name for node in model.graph.node for name in node.output}
    taps = {path: value.name for path, value in graph.taps.items() if value.name in produced}
    known = tuple(classes) if isinstance(made, Prediction) and made.probabilities is not None else ()
    return BuiltModel(model, replace(signature, outputs=tuple(specs), classes=known), taps)


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
