"""A small typed builder of ONNX graphs.

Values know their element type and width, so that a converter can follow the same casts as the library it mirrors.
Names are made from a running number, never from a clock or a hash seed: the same model gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.converters.scale_fusion import keep_factors_apart
from mlpack_edge.core.errors import Unsupported

ML = "ai.onnx.ml"
#: The newest opset and IR version that ONNX Runtime 1.31 opens; onnx 1.23 itself would write 28 and 14.
NEWEST_OPSET, NEWEST_IR = 26, 13
DEFAULT_OPSET, ML_OPSET = 21, 5

Array = NDArray[Any]

ONNX_TYPE: dict[str, int] = {
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "bfloat16": TensorProto.BFLOAT16,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}
DTYPE_OF_ONNX = {number: name for name, number in ONNX_TYPE.items()}


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor in the graph: `[batch, width]`, or `[batch]` where `width` is None."""

    name: str
    dtype: str
    width: int | None


class Graph:
    """Nodes in order, initializers without duplicates, and a path that names the step each node belongs to."""

    def __init__(self, opset: int = DEFAULT_OPSET, ml_opset: int = ML_OPSET, reserved: Iterable[str] = ()) -> None:
        """reserved: the names of the graph's inputs, which no tensor inside may have."""
        self.opset = opset
        self.reserved = frozenset(reserved)
        self.ml_opset = ml_opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        #: Intermediate results by step path, for finding the first step at which two runs diverge.
        self.taps: dict[str, Value] = {}
        self._by_content: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._path = ""
        self._count = 0
        self._domains: dict[str, int] = {}

    @contextmanager
    def path(self, path: str) -> Iterator[None]:
        """Name the nodes added inside after `path`."""
        before, self._path = self._path, path
        try:
            yield
        finally:
            self._path = before

    def fresh(self, stem: str) -> str:
        """A name nothing else has."""
        prefix = f"{self._path}/" if self._path else ""
        while True:
            self._count += 1
            name = f"{prefix}{stem}_{self._count}"
            if name not in self.reserved:
                return name

    def const(self, array: Array | Sequence[Any] | float | str | bool, dtype: str | None = None) -> str:
        """An initializer holding `array` (as `dtype` where given); equal ones are stored once. Returns its name."""
        data = np.asarray(array) if dtype in (None, "string") else np.asarray(array).astype(np.dtype(dtype))
        if data.dtype.kind in "OU":
            texts = [str(text).encode("utf-8") for text in data.ravel().tolist()]
            tensor = TensorProto(data_type=TensorProto.STRING, dims=data.shape, string_data=texts)
            key = ("string", data.shape, repr(texts).encode())
        else:
            tensor = numpy_helper.from_array(np.asarray(data, order="C"))
            key = (str(data.dtype), data.shape, data.tobytes())
        if key not in self._by_content:
            tensor.name = f"const:{len(self.initializers)}"
            if tensor.name in self.reserved:
                tensor.name = self.fresh("const")
            self.initializers[tensor.name] = tensor
            self._by_content[key] = tensor.name
        return self._by_content[key]

    def op(self, op_type: str, *inputs: str | Value, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name. An input "" is an omitted one."""
        return self.ops(op_type, 1, *inputs, domain=domain, **attributes)[0]

    def ops(
        self, op_type: str, outputs: int, *inputs: str | Value, domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node with several outputs and return their names."""
        names = [item.name if isinstance(item, Value) else item for item in inputs]
        if domain not in ("", ML):
            self._domains.setdefault(domain, 1)
        made = tuple(self.fresh(op_type) for _ in range(outputs))
        self.nodes.append(helper.make_node(op_type, names, made, name=made[0], domain=domain, **attributes))
        return made

    def cast(self, value: Value, dtype: str) -> Value:
        """`value` as `dtype` (round to nearest even between floats), unchanged where it already is."""
        if value.dtype == dtype:
            return value
        return replace(value, name=self.op("Cast", value, to=ONNX_TYPE[dtype]), dtype=dtype)

    def vector(self, value: Value) -> Value:
        """A `[batch, 1]` value as `[batch]`."""
        if value.width is None:
            return value
        return Value(self.op("Reshape", value, self.const(np.array([-1], np.int64))), value.dtype, None)

    def column(self, value: Value) -> Value:
        """A `[batch]` value as `[batch, 1]`."""
        if value.width is not None:
            return value
        return Value(self.op("Reshape", value, self.const(np.array([-1, 1], np.int64))), value.dtype, 1)

    def concat(self, values: Sequence[Value]) -> Value:
        """Values of one dtype side by side."""
        if len(values) == 1:
            return values[0]
        width = sum(value.width or 1 for value in values)
        return Value(self.op("Concat", *values, axis=1), values[0].dtype, width)

    def gather_columns(self, value: Value, indices: Sequence[int]) -> Value:
        """The columns `indices` of a `[batch, width]` value, in that order."""
        if list(indices) == list(range(value.width or 0)):
            return value
        picked = self.op("Gather", value, self.const(np.array(indices, np.int64)), axis=1)
        return Value(picked, value.dtype, len(indices))

    def inline(self, model: onnx.ModelProto, feeds: Mapping[str, str]) -> dict[str, str]:
        """Copy the nodes of `model` into this graph, its inputs bound to `feeds`; returns its outputs by their names.

        The model must not hold functions, and must use opsets this graph can import (Unsupported otherwise).
        """
        for used in model.opset_import:
            if used.domain in ("", "ai.onnx") and used.version > self.opset:
                raise Unsupported(f"a sub-graph needs opset {used.version}, the model is written for {self.opset}")
            if used.domain not in ("", "ai.onnx", ML):
                self._domains[used.domain] = used.version
        renamed = dict(feeds)
        for tensor in model.graph.initializer:
            copy = TensorProto()
            copy.CopyFrom(tensor)
            copy.name = self.fresh(tensor.name)
            self.initializers[copy.name] = copy
            renamed[tensor.name] = copy.name
        for node in model.graph.node:
            copy_node = onnx.NodeProto()
            copy_node.CopyFrom(node)
            self._rename(copy_node, renamed)
            copy_node.name = self.fresh(node.name or node.op_type)
            self.nodes.append(copy_node)
        return {output.name: renamed[output.name] for output in model.graph.output}

    def _rename(self, node: onnx.NodeProto, renamed: dict[str, str]) -> None:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
        for index, name in enumerate(node.output):
            if name:
                renamed[name] = self.fresh(name)
                node.output[index] = renamed[name]
        for attribute in node.attribute:
            bodies = [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs)
            for body in bodies:
                inner = dict(renamed)
                for item in [*body.input, *body.initializer]:
                    inner[item.name] = self.fresh(item.name)
                    item.name = inner[item.name]
                for child in body.node:
                    self._rename(child, inner)
                for output in body.output:
                    output.name = inner.get(output.name, output.name)

    def model(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The finished model: only what the outputs need, in order."""
        nodes = keep_factors_apart(_needed(self.nodes, {output.name for output in outputs}), self.initializers)
        used = {name for node in nodes for name in _inputs_of(node)} | {output.name for output in outputs}
        graph = helper.make_graph(
            nodes, "mlpack", list(inputs), list(outputs),
            [tensor for name, tensor in self.initializers.items() if name in used],
        )  # fmt: skip
        imports = [helper.make_opsetid("", self.opset)]
        if any(node.domain == ML for node in nodes):
            imports.append(helper.make_opsetid(ML, self.ml_opset))
        present = {node.domain for node in nodes}
        imports += [helper.make_opsetid(name, number) for name, number in self._domains.items() if name in present]
        ir = min(NEWEST_IR, helper.find_min_ir_version_for(imports, ignore_unknown=True))
        return helper.make_model(graph, opset_imports=imports, ir_version=ir, producer_name="mlpack")


def _inputs_of(node: onnx.NodeProto) -> Iterator[str]:
    """Every name a node reads, those of its sub-graphs included."""
    yield from node.input
    for attribute in node.attribute:
        bodies = [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs)
        for body in bodies:
            for child in body.node:
                yield from _inputs_of(child)
            yield from (output.name for output in body.output)


def _needed(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    kept: list[onnx.NodeProto] = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(_inputs_of(node))
    return kept[::-1]
