"""The model with its operators between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import helper

from mlpack_edge.converters.quantization.static.channels import ChannelFacts
from mlpack_edge.converters.quantization.static.guards import Guards
from mlpack_edge.converters.quantization.static.plan import planned
from mlpack_edge.converters.quantization.static.rewriting import graph_of
from mlpack_edge.converters.quantization.static.view import HasModel, View
from mlpack_edge.converters.quantization.static.weighted import write_weighted
from mlpack_edge.converters.quantization.static.writer import Writer
from mlpack_edge.converters.quantization.values import Ranges, Recipe
from mlpack_edge.core.errors import Unsupported


def static_model(
    prepared: HasModel,
    ranges: Ranges,
    recipe: Recipe,
    refused: Mapping[str, str] = {},
    channels: Mapping[str, ChannelFacts] = {},
) -> onnx.ModelProto:
    """The prepared model with what `recipe` names on codes, in the QDQ form (ONNX `QuantizeLinear` 13).

    ranges: of the tensors of `tensors_of`. refused: why calibration has none of others, for the error.
    channels: what those of tensors hold (`channel_facts`), by name: used to lose less where it is given. Weights are int8 around 0 with a scale an output channel, activations of
    `recipe.activations` with one grid a tensor. The same arguments give the same bytes. Raises Unsupported below opset
    13 and where a range is missing, BadInput where one is not finite.
    """
    view = graph_of(prepared)
    if view.opset < 13:
        raise Unsupported(
            f"scales for each channel need opset 13, the model has {view.opset}", "convert it to a newer opset"
        )
    writer = Writer(view, planned(view, recipe), ranges, recipe, refused, channels)
    _write(writer)
    graph = onnx.GraphProto(name=prepared.model.graph.name, input=view.graph.input, output=view.graph.output)
    graph.node.extend(Guards(writer.nodes, writer.names, writer.constants).applied(view.constant))
    graph.initializer.extend(_used([*view.graph.initializer, *writer.constants.tensors], graph))
    graph.sparse_initializer.extend(view.graph.sparse_initializer)
    made = onnx.ModelProto()
    for field, value in prepared.model.ListFields():
        if field.name != "graph" and field.name != "doc_string":
            _copy(made, field.name, value)
    made.graph.CopyFrom(graph)
    return made


def _write(writer: Writer) -> None:
    """All nodes in order; an activation that a grid stands for, and the Add of a bias, are written with their operator."""
    active = writer.plan.active
    within = {
        unit.adding.name
        for unit in active.values()
        if unit.adding is not None and unit.weights is not None and unit.weights.bias is not None
    }
    for node in writer.view.nodes:
        unit = active.get(node.name)
        if writer.is_absorbed(node) or node.name in within:
            continue
        if unit is None:
            kept = onnx.NodeProto()
            kept.CopyFrom(node)
            writer.finish(kept)
        elif unit.weights is None:
            writer.write_plain(unit)
        else:
            write_weighted(writer, unit, unit.weights)


def _used(tensors: Iterable[onnx.TensorProto], graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    read = View(helper.make_model(graph))
    names = {*read.readers, *read.read_inside, *read.outputs, *read.inputs}
    return [tensor for tensor in tensors if tensor.name in names]


def _copy(model: onnx.ModelProto, field: str, value: object) -> None:
    """A field of a model but its graph, which would be copied for nothing."""
    if hasattr(value, "extend"):
        getattr(model, field).extend(value)
    else:
        setattr(model, field, value)
