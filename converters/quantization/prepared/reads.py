"""Large float constants and who reads them: what there is to store smaller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from onnx import GraphProto, NodeProto, TensorProto

from mlpack_edge.converters.quantization.values import Layer
from mlpack_edge.runtimes.onnx_files.tensors import elements, sub_graphs

#: Below this, what a storage form adds to the file and to the time of loading is not worth what it saves.
LEAST_ELEMENTS = 256
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)


@dataclass(frozen=True, slots=True)
class Read:
    """layer: name of the node of the main graph that reads (or in whose sub-graph it is read). node, position: where."""

    layer: str
    op_type: str
    node: NodeProto
    position: int


@dataclass(frozen=True, slots=True)
class Weight:
    """A float32 or float64 initializer of the main graph with at least LEAST_ELEMENTS elements, read at least once."""

    tensor: TensorProto
    reads: tuple[Read, ...]

    @property
    def name(self) -> str:
        return str(self.tensor.name)


def weights_in(model: onnx.ModelProto) -> tuple[Weight, ...]:
    """In the order of the initializers. Those that the graph gives as an output, or takes as an input, are left out."""
    graph = model.graph
    reads: dict[str, list[Read]] = defaultdict(list)
    for node in graph.node:
        for found in _reads(node, node, frozenset()):
            reads[found.node.input[found.position]].append(found)
    fixed = {value.name for value in [*graph.input, *graph.output]} | set(_given_inside(graph))
    return tuple(
        Weight(tensor, tuple(reads[tensor.name]))
        for tensor in graph.initializer
        if tensor.data_type in _FLOATS
        and elements(tensor) >= LEAST_ELEMENTS
        and tensor.name in reads
        and tensor.name not in fixed
    )


def layers_in(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The nodes that read large float constants, in the order of the graph."""
    sizes: dict[str, int] = defaultdict(int)
    for weight in weights_in(model):
        for layer in dict.fromkeys(read.layer for read in weight.reads):
            sizes[layer] += 4 * elements(weight.tensor)
    return tuple(Layer(node.name, node.op_type, sizes[node.name]) for node in model.graph.node if node.name in sizes)


def _reads(node: NodeProto, layer: NodeProto, hidden: frozenset[str]) -> Iterator[Read]:
    """What a node and the nodes in its sub-graphs read from the main graph. hidden: names a sub-graph gives itself."""
    for position, name in enumerate(node.input):
        if name and name not in hidden:
            yield Read(layer.name, node.op_type, node, position)
    for attribute in node.attribute:
        for body in sub_graphs(attribute):
            inner = hidden | {item.name for item in [*body.input, *body.initializer]}
            inner |= {name for child in body.node for name in child.output}
            for child in body.node:
                yield from _reads(child, layer, inner)


def _given_inside(graph: GraphProto) -> Iterator[str]:
    """The names that sub-graphs give as their outputs."""
    for node in graph.node:
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                yield from (value.name for value in body.output)
                yield from _given_inside(body)
