"""Put the branch that is taken in place of an If whose condition is constant: of a rank or a size that is fixed, say.

Exporters leave both branches of a question that only shapes answer, and a runtime that knows the shapes may refuse the branch
that is never taken. What is known of values are small integers and truths that come of constants and shapes; shapes are those
that onnx infers of the inputs alone, for what a file notes of others may be stale.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping, MutableMapping

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, helper, numpy_helper, shape_inference

from mlpack_edge.converters.onnx_from_onnx.light import light_copy
from mlpack_edge.converters.onnx_from_onnx.truths import Array, value_of
from mlpack_edge.core.signature import Dimension
from mlpack_edge.runtimes.onnx_files.signature import shape_of
from mlpack_edge.runtimes.onnx_files.tensors import elements, sub_graphs

#: Larger constants are no condition and no shape.
_MOST_ELEMENTS = 64
Shape = tuple[Dimension | None, ...]


def fold_branches(model: onnx.ModelProto) -> list[str]:
    """Change `model` in place and return notes. It needs names that are defined once in each scope and those around it, and
    leaves them so. Only Ifs of the main graph and of branches are looked at: what a loop holds may change from turn to turn."""
    folded = 0
    while any(node.op_type == "If" and node.domain == "" for node in model.graph.node):
        inferred = _inferred(model)
        fresh = _Names(model)
        found = 0 if inferred is None else _fold(model.graph, inferred, ChainMap(), ChainMap(), fresh)
        if not found:
            break
        folded += found  # what a branch gives has a shape now that both together had not
    return [f"took the branch of {folded} Ifs whose condition is constant"] if folded else []


def _inferred(model: onnx.ModelProto) -> GraphProto | None:
    """The main graph, node by node the same, with the shapes that come of the inputs; None where onnx infers none."""
    light = light_copy(model, with_shapes=True)
    for graph in _graphs(light.graph):
        del graph.value_info[:]
        for value in graph.output:
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.ClearField("shape")
    try:
        return shape_inference.infer_shapes(light, data_prop=True).graph
    except (shape_inference.InferenceError, ValueError, RuntimeError):
        return None  # the model is what it was


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                yield from _graphs(body)


def _fold(
    graph: GraphProto,
    inferred: GraphProto,
    values: MutableMapping[str, Array],
    shapes: MutableMapping[str, Shape],
    names: _Names,
) -> int:
    """How many Ifs of `graph` and of branches in it gave way. values, shapes: what is known of names, those of the graphs around
    it included; written to."""
    for tensor in graph.initializer:
        if elements(tensor) <= _MOST_ELEMENTS:
            values[tensor.name] = numpy_helper.to_array(tensor)
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        shape = shape_of(value) if value.type.HasField("tensor_type") else None
        if shape is not None:
            shapes[value.name] = shape
    folded = 0
    kept: list[NodeProto] = []
    for node, twin in zip(list(graph.node), list(inferred.node), strict=True):
        if node.op_type != "If" or node.domain:
            made = value_of(node, values, shapes)
            if made is not None and made.size <= _MOST_ELEMENTS:
                values[node.output[0]] = made
            kept.append(node)
            continue
        condition = values.get(node.input[0])
        if condition is not None and condition.dtype == np.bool_ and condition.size == 1:
            taken = _branch(node, "then_branch" if condition.reshape(-1)[0] else "else_branch")
            kept += names.inlined(node, taken)
            graph.initializer.extend(taken.initializer)
            graph.sparse_initializer.extend(taken.sparse_initializer)
            folded += 1
            continue
        for name in ("then_branch", "else_branch"):
            inner = ChainMap({}, values), ChainMap({}, shapes)
            folded += _fold(_branch(node, name), _branch(twin, name), *inner, names)
        kept.append(node)
    if folded:
        copies = [NodeProto.FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(copies)
    return folded


def _branch(node: NodeProto, name: str) -> GraphProto:
    found: GraphProto = next(attribute.g for attribute in node.attribute if attribute.name == name)
    return found


class _Names:
    """The names of a model, and how often each is defined: both branches of an If may use one for tensors of their own."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._defined: Counter[str] = Counter()
        for graph in _graphs(model.graph):
            self._defined.update(value.name for value in graph.input)
            self._defined.update(_given(graph))

    def inlined(self, node: NodeProto, taken: GraphProto) -> list[NodeProto]:
        """The nodes of the branch that is taken (which is changed), giving what the If gave under the If's names. The branch's own
        names stay where nothing else has them."""
        makers = {name for one in taken.node for name in one.output if name}
        ends = [(value.name, wanted) for value, wanted in zip(taken.output, node.output, strict=True) if wanted]
        renamed = {end: wanted for end, wanted in reversed(ends) if end in makers}
        for name in _given(taken):
            if name not in renamed and self._defined[name] > 1:
                renamed[name] = self._free(name)
        _rename(taken, renamed)
        for end, wanted in ends:
            given = renamed.get(end, end)
            if given != wanted:  # an initializer, a tensor of a graph around, or what the If gives twice
                taken.node.append(helper.make_node("Identity", [given], [wanted], name=f"{wanted}/branch"))
        return list(taken.node)

    def _free(self, wanted: str) -> str:
        number = 2
        while self._defined[f"{wanted}_{number}"]:
            number += 1
        self._defined[f"{wanted}_{number}"] += 1
        return f"{wanted}_{number}"


def _given(graph: GraphProto) -> list[str]:
    """The names that a graph defines beside its inputs."""
    stored = [tensor.name for tensor in graph.initializer] + [sparse.values.name for sparse in graph.sparse_initializer]
    return stored + [name for node in graph.node for name in node.output if name]


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """In the graph and all below it: none of them defines a name of a graph around it again."""
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = names.get(sparse.values.name, sparse.values.name)
    for value in graph.output:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for held in (node.input, node.output):
            for index, name in enumerate(held):
                held[index] = names.get(name, name)
        for attribute in node.attribute:
            for body in sub_graphs(attribute):
                _rename(body, names)
