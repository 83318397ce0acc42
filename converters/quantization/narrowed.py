"""Nets that compute in float64 (scikit-learn's do) as float32: what is quantized is far coarser, and no kernel of codes takes
float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper, shape_inference

from mlpack_edge.converters.onnx_from_onnx.light import light_copy

#: Where it begins, with a constant operand; and what goes on with it.
WEIGHTED = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})
FOLLOWING = frozenset({
    "Add", "Sub", "Mul", "Div", "Max", "Min", "Neg", "Abs", "Exp", "Log", "Sqrt", "Pow", "Erf", "Reciprocal",
    "Relu", "LeakyRelu", "Elu", "Selu", "Softplus", "Tanh", "Sigmoid", "Softmax", "LogSoftmax", "Clip",
    "Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Concat", "Dropout",
})  # fmt: skip
_DOUBLE = TensorProto.DOUBLE


def narrowed(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy in which products of float64 with constants, and the arithmetic behind them, are of float32; inputs, outputs and what
    stands before the first product (scalers, encoders) are as they were. None where there is no such product, or a constant
    of one does not fit into float32.
    """
    types = _types(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    inside = _region(model.graph, types, constants)
    if not inside:
        return None
    writer = _Writer(model.graph, types, constants, inside)
    if not writer.fits():
        return None
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.value_info[:], made.graph.initializer[:]
    made.graph.node.extend(writer.nodes())
    made.graph.initializer.extend([*model.graph.initializer, *writer.made])
    return made


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """The element types of tensors, as far as they are known."""
    try:
        inferred = shape_inference.infer_shapes(light_copy(model, with_shapes=True))
    except (shape_inference.InferenceError, ValueError, RuntimeError):
        inferred = model  # operators of others: what the file itself says
    graph = inferred.graph
    found = {info.name: info.type.tensor_type.elem_type for info in (*graph.input, *graph.output, *graph.value_info)}
    return found | {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def _region(graph: onnx.GraphProto, types: dict[str, int], constants: dict[str, TensorProto]) -> set[int]:
    """The places of the nodes that become float32."""
    inside: set[int] = set()
    made: set[str] = set()
    for place, node in enumerate(graph.node):
        if node.domain not in ("", "ai.onnx") or not any(types.get(name) == _DOUBLE for name in node.output):
            continue
        weighted = node.op_type in WEIGHTED and any(
            name in constants and len(constants[name].dims) >= 2 and types[name] == _DOUBLE for name in node.input
        )
        if weighted or (node.op_type in FOLLOWING and any(name in made for name in node.input)):
            inside.add(place)
            made.update(node.output)
    return inside


class _Writer:
    """made: constants in float32, and the bounds of nothing else."""

    def __init__(
        self, graph: onnx.GraphProto, types: dict[str, int], constants: dict[str, TensorProto], inside: set[int]
    ) -> None:
        self._graph, self._types, self._constants, self._inside = graph, types, constants, inside
        self._names = {name for node in graph.node for name in (*node.input, *node.output)} | set(constants)
        self._narrow: dict[str, str] = {}
        self._within = {name for place in inside for name in graph.node[place].output if types.get(name) == _DOUBLE}
        self._wanted = {info.name for info in graph.output}
        for place, node in enumerate(graph.node):
            if place not in inside:
                self._wanted.update(node.input)
                self._wanted.update(_read_inside(node))
        self.made: list[TensorProto] = []

    def fits(self) -> bool:
        """Whether float32 holds every constant that would become one."""
        for place in self._inside:
            for name in self._graph.node[place].input:
                if self._types.get(name) == _DOUBLE and name in self._constants:
                    array = numpy_helper.to_array(self._constants[name])
                    with np.errstate(over="ignore"):
                        if not np.array_equal(np.isfinite(array), np.isfinite(array.astype(np.float32))):
                            return False
        return True

    def nodes(self) -> Iterator[NodeProto]:
        """All nodes of the graph, with casts at the border."""
        for place, node in enumerate(self._graph.node):
            if place not in self._inside:
                yield node
                continue
            for name in node.input:
                if self._types.get(name) == _DOUBLE and name not in self._narrow:
                    yield from self._narrow_input(name)
            wide = [name for name in node.output if name in self._within and name in self._wanted]
            for name in node.output:
                if name in self._within:
                    self._narrow[name] = self._free(f"{name}/float32") if name in wide else name
            yield self._as_relu(self._renamed(node))
            for name in wide:
                yield helper.make_node("Cast", [self._narrow[name]], [name], self._free(f"{name}/float64"), to=_DOUBLE)

    def _narrow_input(self, name: str) -> Iterator[NodeProto]:
        self._narrow[name] = narrow = self._free(f"{name}/float32")
        if name in self._constants:
            array = numpy_helper.to_array(self._constants[name]).astype(np.float32)
            self.made.append(numpy_helper.from_array(array, narrow))
        else:
            yield helper.make_node("Cast", [name], [narrow], narrow, to=TensorProto.FLOAT)

    def _renamed(self, node: NodeProto) -> NodeProto:
        made = NodeProto()
        made.CopyFrom(node)
        made.input[:] = [self._narrow.get(name, name) for name in node.input]
        made.output[:] = [self._narrow.get(name, name) for name in node.output]
        return made

    def _as_relu(self, node: NodeProto) -> NodeProto:
        """`Max(x, 0)` under the name by which kernels know it."""
        zero = [tensor for tensor in self.made if tensor.name in node.input and _is_zero(tensor)]
        if node.op_type != "Max" or len(node.input) != 2 or not zero:
            return node
        rest = [name for name in node.input if name != zero[0].name]
        return helper.make_node("Relu", rest, list(node.output), node.name) if len(rest) == 1 else node

    def _free(self, wanted: str) -> str:
        while wanted in self._names:
            wanted += "_"
        self._names.add(wanted)
        return wanted


def _is_zero(tensor: TensorProto) -> bool:
    array = numpy_helper.to_array(tensor)
    return array.size == 1 and not array.any()


def _read_inside(node: NodeProto) -> Iterator[str]:
    """What the sub-graphs of a node read, of its own or of the graph around."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from _read_inside(inner)
            yield from (info.name for info in graph.output)
