"""Who gives and who reads each tensor of a graph, and which tensors are constants."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from mlpack_edge.runtimes.onnx_files.structure import names_read
from mlpack_edge.runtimes.onnx_files.tensors import sub_graphs

Array = NDArray[Any]


class Edges:
    """A look at a graph as it is now; make it anew after a change.

    readers: tensor -> the nodes of the graph that read it, each once a place it reads it at, those that read it inside
    their sub-graphs included. outputs: the names of the graph's outputs.
    """

    def __init__(self, graph: GraphProto) -> None:
        self.givers: dict[str, NodeProto] = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in names_read(node):
                if name:
                    self.readers[name].append(node)
        self.outputs = {value.name for value in graph.output}
        self.constants: dict[str, TensorProto] = {tensor.name: tensor for tensor in graph.initializer}
        inputs = {value.name for value in graph.input}
        for name in inputs & self.constants.keys():  # a default value, which the caller may replace
            del self.constants[name]

    def array(self, name: str) -> Array | None:
        """The constant `name`, None where it is none."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def sole_reader(self, name: str) -> NodeProto | None:
        """The only node that reads a tensor, at one place; None where another, or the graph's caller, reads it too."""
        found = self.readers.get(name, [])
        return found[0] if len(found) == 1 and name not in self.outputs else None


def names_of(graph: GraphProto) -> set[str]:
    """Every name of a tensor in a graph and its sub-graphs, and every node's."""
    found = {value.name for value in [*graph.input, *graph.output, *graph.value_info]}
    found |= {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        found.update(node.input)
        found.update(node.output)
        found.add(node.name)
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                found |= names_of(body)
    return found


def has_body(node: NodeProto) -> bool:
    """Whether a node has sub-graphs (If, Loop, Scan)."""
    return any(sub_graphs(attribute) for attribute in node.attribute)


def attribute_of(node: NodeProto, name: str, default: Any) -> Any:
    """The value of an attribute, `default` where it is left out."""
    found = next((attribute for attribute in node.attribute if attribute.name == name), None)
    return default if found is None else onnx.helper.get_attribute_value(found)


def replace_nodes(graph: GraphProto, nodes: list[NodeProto]) -> None:
    """Let the graph have these nodes, in this order."""
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


def set_constant(graph: GraphProto, name: str, array: Array) -> None:
    """Add the initializer `name`, or replace what it holds."""
    made = numpy_helper.from_array(np.ascontiguousarray(array) if array.ndim else array, name)
    for tensor in graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(made)
            return
    graph.initializer.append(made)
