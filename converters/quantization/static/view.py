"""A prepared graph to be read: who makes a tensor, who reads it, what is constant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]


class HasModel(Protocol):
    """What `prepare` gives, as far as it is read here: opset 13 or newer, each node of the main graph with a name of its
    own, constants as initializers, shapes inferred."""

    @property
    def model(self) -> onnx.ModelProto: ...


class View:
    """The main graph of a model. Graphs inside its nodes are not entered, what they read counts as read."""

    def __init__(
        self, model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto] | None = None, same: Mapping[str, str] = {}
    ) -> None:
        """nodes: in place of those of the model. same: tensors of theirs -> one of the model that holds the same numbers."""
        self.same = same
        graph = model.graph
        self.graph = graph
        self.nodes = list(graph.node if nodes is None else nodes)
        self.opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
        self.inputs = {info.name for info in graph.input}
        self.outputs = {info.name for info in graph.output}
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self._constants = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in self.inputs}
        self._arrays: dict[str, Array] = {}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        self.read_inside: set[str] = set()
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                if name:
                    self.readers.setdefault(name, []).append(node)
            self.read_inside.update(_outer_names(node))
        infos = [*graph.input, *graph.output, *graph.value_info]
        self._types = {info.name: info.type.tensor_type for info in infos if info.type.HasField("tensor_type")}

    @property
    def names(self) -> set[str]:
        """All names of tensors that the graph uses."""
        initializers = {tensor.name for tensor in self.graph.initializer}
        return {*self.makers, *self.readers, *self.inputs, *self.outputs, *self.read_inside, *initializers}

    def constant(self, name: str) -> Array | None:
        """The content of an initializer that no caller can replace."""
        if name not in self._constants:
            return None
        if name not in self._arrays:
            self._arrays[name] = numpy_helper.to_array(self._constants[name])
        return self._arrays[name]

    def is_float(self, name: str) -> bool:
        """Whether a tensor is known to be of float32."""
        if name in self._constants:
            return bool(self._constants[name].data_type == onnx.TensorProto.FLOAT)
        if name in self._types:
            return bool(self._types[name].elem_type == onnx.TensorProto.FLOAT)
        maker = self.makers.get(name)  # of a shape that inference does not know, or put in by a rewriting
        return maker is not None and maker.op_type in _OF_FIRST and self.is_float(maker.input[0])

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Known sizes, None for each that is not; None where not even the rank is known."""
        if name in self._constants:
            return tuple(self._constants[name].dims)
        if name not in self._types or not self._types[name].HasField("shape"):
            return None
        return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in self._types[name].shape.dim)

    def rank(self, name: str) -> int | None:
        shape, maker = self.shape(name), self.makers.get(name)
        if shape is not None or maker is None:
            return None if shape is None else len(shape)
        if maker.op_type == "Reshape":  # to sizes that are computed: how many they are may still be known
            sizes = self.shape(maker.input[1])
            return sizes[0] if sizes is not None and len(sizes) == 1 else None
        return self.rank(maker.input[0]) if maker.op_type in _OF_RANK else None

    def sole_reader(self, name: str) -> onnx.NodeProto | None:
        """The node that alone reads a tensor, once; None where another one or the caller does."""
        found = self.readers.get(name, [])
        if len(found) != 1 or name in self.outputs or name in self.read_inside:
            return None
        return found[0] if list(found[0].input).count(name) == 1 else None

    def is_seen(self, name: str) -> bool:
        """Whether the caller, or a graph inside a node, reads a tensor."""
        return name in self.outputs or name in self.read_inside


#: Operators whose result has the type of their first operand.
_OF_FIRST = frozenset({
    "Add", "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "Div", "Flatten", "Gemm", "GlobalAveragePool",
    "HardSigmoid", "MatMul", "MaxPool", "Mul", "Relu", "Reshape", "Resize", "Sigmoid", "Sub", "Transpose",
})  # fmt: skip


#: Operators whose result has the rank of their first operand.
_OF_RANK = frozenset({"BatchNormalization", "Clip", "Concat", "Identity", "LeakyRelu", "Relu", "Sigmoid", "Tanh"})


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for entry in node.attribute:
        if entry.name == name:
            return helper.get_attribute_value(entry)
    return default


def is_standard(node: onnx.NodeProto) -> bool:
    return node.domain in ("", "ai.onnx")


def _outer_names(node: onnx.NodeProto) -> Iterator[str]:
    for entry in node.attribute:
        for graph in [*entry.graphs, *([entry.g] if entry.HasField("g") else [])]:
            for inner in graph.node:
                yield from inner.input
                yield from _outer_names(inner)
            yield from (info.name for info in graph.output)


def scalar(array: Array | None) -> float | None:
    """The one number of an array; None where it is none."""
    return float(np.asarray(array).reshape(-1)[0]) if array is not None and np.size(array) == 1 else None
