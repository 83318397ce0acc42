"""The tensors stored in an ONNX model: do their data have the size that their shape and type say?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import onnx
from onnx import AttributeProto, TensorProto

from mlpack_edge.core.errors import BadInput

MAX_RANK = 64
AGAIN = "the file is damaged: copy or download it again, or export the model again"
#: Bits an element takes in `raw_data` and in external files (onnx.proto, TensorProto).
BITS: dict[int, int] = {
    TensorProto.FLOAT: 32, TensorProto.UINT8: 8, TensorProto.INT8: 8, TensorProto.UINT16: 16, TensorProto.INT16: 16,
    TensorProto.INT32: 32, TensorProto.INT64: 64, TensorProto.BOOL: 8, TensorProto.FLOAT16: 16,
    TensorProto.DOUBLE: 64, TensorProto.UINT32: 32, TensorProto.UINT64: 64, TensorProto.COMPLEX64: 64,
    TensorProto.COMPLEX128: 128, TensorProto.BFLOAT16: 16, TensorProto.FLOAT8E4M3FN: 8, TensorProto.FLOAT8E4M3FNUZ: 8,
    TensorProto.FLOAT8E5M2: 8, TensorProto.FLOAT8E5M2FNUZ: 8, TensorProto.UINT4: 4, TensorProto.INT4: 4,
    TensorProto.FLOAT4E2M1: 4,
}  # fmt: skip
#: Types of later onnx releases, by number: FLOAT8E8M0, UINT2, INT2, FLOAT6E2M3, FLOAT6E3M2.
BITS.update({24: 8, 25: 2, 26: 2, 27: 6, 28: 6})


def dtype_name(number: int) -> str:
    """A numpy name (`float32`), "string", or onnx's own in lower case where numpy has none; "undefined" for 0."""
    if number not in TensorProto.DataType.values():
        return f"type {number}"
    name = str(TensorProto.DataType.Name(number))
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def elements(tensor: TensorProto) -> int:
    """The number of elements the shape says; a scalar has one."""
    return math.prod(tensor.dims)


def byte_size(tensor: TensorProto) -> int:
    """Bytes of the tensor's data, elements below a byte packed (not for strings)."""
    return -(-elements(tensor) * BITS[tensor.data_type] // 8)


def check_tensor(tensor: TensorProto, where: str) -> None:
    """Raise BadInput where type, shape and stored data do not fit; data in another file is not looked at."""

    def refuse(why: str) -> BadInput:
        return BadInput(f"the tensor {tensor.name!r} ({where}) is damaged", AGAIN, why=why, tensor=tensor.name)

    kind = tensor.data_type
    if kind != TensorProto.STRING and kind not in BITS:
        raise refuse(f"there is no element type {kind}")
    if len(tensor.dims) > MAX_RANK or any(size < 0 for size in tensor.dims):
        raise refuse(f"its shape {list(tensor.dims)[:8]} is none")
    if tensor.HasField("segment"):
        raise refuse("it is stored in segments, which no runtime reads")
    if tensor.data_location == TensorProto.EXTERNAL:
        if kind == TensorProto.STRING:
            raise refuse("strings cannot be stored in another file")
        return
    count = elements(tensor)
    if tensor.HasField("raw_data"):
        if kind == TensorProto.STRING:
            raise refuse("strings cannot be stored as raw data")
        if len(tensor.raw_data) != byte_size(tensor):
            raise refuse(
                f"its shape {list(tensor.dims)} in {dtype_name(kind)} needs {byte_size(tensor):,} bytes, "
                f"it has {len(tensor.raw_data):,}"
            )
        return
    stored = _stored(tensor)
    allowed = {count, byte_size(tensor)} if kind in BITS and BITS[kind] < 8 else {count}
    if stored not in allowed:
        raise refuse(f"its shape {list(tensor.dims)} needs {count:,} elements, it has {stored:,}")


def _stored(tensor: TensorProto) -> int:
    """Elements in the typed field that belongs to the type (onnx.proto, TensorProto)."""
    kind = tensor.data_type
    if kind == TensorProto.FLOAT:
        return len(tensor.float_data)
    if kind == TensorProto.COMPLEX64:
        return len(tensor.float_data) // 2
    if kind == TensorProto.DOUBLE:
        return len(tensor.double_data)
    if kind == TensorProto.COMPLEX128:
        return len(tensor.double_data) // 2
    if kind == TensorProto.INT64:
        return len(tensor.int64_data)
    if kind in (TensorProto.UINT32, TensorProto.UINT64):
        return len(tensor.uint64_data)
    if kind == TensorProto.STRING:
        return len(tensor.string_data)
    return len(tensor.int32_data)


def all_tensors(model: onnx.ModelProto) -> Iterator[tuple[TensorProto, str]]:
    """Every tensor anywhere in the model, with words that say where: sub-graphs, functions, training graphs."""
    yield from _of_graph(model.graph, "graph")
    for function in model.functions:
        where = f"function {function.name!r}"
        yield from _of_attributes(function.attribute_proto, where)
        yield from _of_nodes(function.node, where)
    for training in model.training_info:
        yield from _of_graph(training.initialization, "training graph")
        yield from _of_graph(training.algorithm, "training graph")


def _of_graph(graph: onnx.GraphProto, where: str) -> Iterator[tuple[TensorProto, str]]:
    for tensor in graph.initializer:
        yield tensor, f"initializer of {where}"
    for sparse in graph.sparse_initializer:
        yield sparse.values, f"sparse initializer of {where}"
        yield sparse.indices, f"indices of the sparse initializer {sparse.values.name!r} of {where}"
    yield from _of_nodes(graph.node, where)


def _of_nodes(nodes: Iterable[onnx.NodeProto], where: str) -> Iterator[tuple[TensorProto, str]]:
    for index, node in enumerate(nodes):
        if node.attribute:
            yield from _of_attributes(node.attribute, f"{where}, {node_words(node, index)}")


def _of_attributes(attributes: Iterable[AttributeProto], where: str) -> Iterator[tuple[TensorProto, str]]:
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t, f"{where}, attribute {attribute.name!r}"
        for tensor in attribute.tensors:
            yield tensor, f"{where}, attribute {attribute.name!r}"
        sparse_ones = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
        for sparse in [*sparse_ones, *attribute.sparse_tensors]:
            yield sparse.values, f"{where}, attribute {attribute.name!r}"
            yield sparse.indices, f"{where}, attribute {attribute.name!r}"
        for body in sub_graphs(attribute):
            yield from _of_graph(body, f"{where}, attribute {attribute.name!r}")


def sub_graphs(attribute: AttributeProto) -> list[onnx.GraphProto]:
    """The graphs an attribute holds, whatever its declared type says."""
    return ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs)


def node_words(node: onnx.NodeProto, index: int) -> str:
    """How messages name a node: its name and operator, or its place and operator."""
    domain = f"{node.domain}." if node.domain not in ("", "ai.onnx") else ""
    return f"node {node.name!r} ({domain}{node.op_type})" if node.name else f"node {index} ({domain}{node.op_type})"
