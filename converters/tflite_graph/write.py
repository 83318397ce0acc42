"""A TFLite model as the bytes of its file: schema version 3, identifier "TFL3".

Equal graphs give equal bytes. Constants of equal content share a buffer, and every buffer is aligned to 16 bytes, as
`schema.fbs` demands (`force_align: 16`) and the generated Python classes do not do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as generated
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_graph import schema
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor
from mlpack_edge.converters.tflite_graph.versions import version_of
from mlpack_edge.core.errors import Unsupported

#: Flatbuffer offsets are signed 32-bit numbers.
MAX_BYTES = (1 << 31) - (1 << 20)
_ALIGNMENT = 16
#: Operators whose options only repeat the types of their tensors.
_WITHOUT_OPTIONS = frozenset({"CAST"})
#: Vectors of at most so many numbers are looked up before they are written; whole numbers of 64 bits (the zero points
#: of the channels of weights and biases, which repeat from layer to layer) up to a longer one.
_SHORT, _SHORT_WHOLE = 16, 1 << 16
#: The name under which LiteRT's own tools look for a model's only signature.
SIGNATURE_KEY = "serving_default"


class _AlignedBuffer(generated.BufferT):  # type: ignore[misc]  # the generated classes have no types
    """A buffer whose bytes begin at a multiple of 16."""

    data: NDArray[np.uint8] | None

    def Pack(self, builder: Any) -> Any:
        vector = None
        if self.data is not None and self.data.size:
            raw, self.data = self.data, None  # the builder holds it from here on
            builder.StartVector(1, raw.size, _ALIGNMENT)
            builder.head = builder.head - raw.size
            builder.Bytes[builder.head : builder.head + raw.size] = raw.data
            vector = builder.EndVector()
        generated.BufferStart(builder)
        if vector is not None:
            generated.BufferAddData(builder, vector)
        return generated.BufferEnd(builder)


class _SharingBuilder(flatbuffers.Builder):  # type: ignore[misc]  # no types
    """Writes equal short vectors and equal strings once: shapes and names repeat, and offsets may meet.

    In a small model these weigh more than the weights (https://flatbuffers.dev/internals/, "offsets").
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._vectors: dict[tuple[str, bytes], Any] = {}
        #: offsets of options tables by what they hold
        self.tables: dict[str, Any] = {}

    def CreateNumpyVector(self, x: Any) -> Any:
        if x.size > (_SHORT_WHOLE if x.dtype == np.int64 else _SHORT):
            return super().CreateNumpyVector(x)
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]

    def CreateString(self, s: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
        key = ("text", s.encode(encoding, errors) if isinstance(s, str) else bytes(s))
        if key not in self._vectors:
            self._vectors[key] = super().CreateString(s, encoding, errors)
        return self._vectors[key]


class _SharedTable:
    """An options table that is written once, however many operators have the same."""

    def __init__(self, table: Any) -> None:
        self._table = table
        fields = {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(table).items()
        }
        self._key = f"{type(table).__name__}{fields}"

    def Pack(self, builder: _SharingBuilder) -> Any:
        if self._key not in builder.tables:
            builder.tables[self._key] = self._table.Pack(builder)
        return builder.tables[self._key]


class _Buffers:
    """Buffer 0 is the empty one, as the schema wants it."""

    def __init__(self) -> None:
        self.all = [_AlignedBuffer()]
        self._known: dict[bytes, int] = {}
        self._taken: dict[Tensor, int] = {}

    def take(self, tensor: Tensor) -> int:
        """The buffer of a constant, whose content leaves `tensor`; 0 for what is computed. Graphs may share a tensor."""
        if tensor.data is not None:
            raw = _pairs(tensor.data) if tensor.dtype == "int4" else np.ascontiguousarray(tensor.data, tensor.dtype)
            tensor.data = None
            self._taken[tensor] = self.add(raw.reshape(-1).view(np.uint8))
        return self._taken.get(tensor, 0)

    def add(self, raw: NDArray[np.uint8]) -> int:
        if not raw.size:
            self.all.append(_AlignedBuffer())  # an own empty buffer: buffer 0 would make it a variable
            self.all[-1].data = raw
            return len(self.all) - 1
        digest = hashlib.sha256(raw.data).digest()
        if digest not in self._known:
            self._known[digest] = len(self.all)
            self.all.append(_AlignedBuffer())
            self.all[-1].data = raw
        return self._known[digest]


def _pairs(codes: NDArray[np.generic]) -> NDArray[np.uint8]:
    """int4 numbers, the first of two in the lower half of a byte (LiteRT's kernels/internal/portable_tensor_utils.h)."""
    flat = codes.reshape(-1).astype(np.int8).view(np.uint8) & 15
    even = np.concatenate([flat, np.zeros(flat.size % 2, np.uint8)])
    pairs: NDArray[np.uint8] = even[0::2] | even[1::2] << 4
    return pairs


def write_tflite(graph: Graph, metadata: Mapping[str, bytes], description: str = "mlpack") -> bytes:
    """The file. metadata: named buffers; the signature definition names inputs and outputs by their tensors' names.

    The constants are taken out of `graph`, so that large ones are not held twice. Raises Unsupported where it would pass 2 GB, which no flatbuffer holds.
    """
    total = sum(
        tensor.data.nbytes for one in (graph, *graph.subgraphs()) for tensor in one.tensors() if tensor.data is not None
    )
    if total > MAX_BYTES:
        raise Unsupported(
            f"the TFLite file would have {total:,} bytes of weights; the format holds {MAX_BYTES:,}",
            "convert a smaller or quantized model",
        )
    graphs = list(dict.fromkeys([graph, *graph.subgraphs()]))
    number = {one: place for place, one in enumerate(graphs)}
    buffers, codes = _Buffers(), _Codes()
    model = generated.ModelT()
    model.version = 3
    model.description = description
    model.subgraphs = [_subgraph(one, buffers, codes, number) for one in graphs]
    model.operatorCodes = codes.all
    model.signatureDefs = [_signature(graph, model.subgraphs[0])]
    model.metadata = [_metadata(name, raw, buffers) for name, raw in metadata.items()]
    model.buffers = buffers.all
    builder = _SharingBuilder(max(1024, total + (total >> 6) + 65536))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(memoryview(builder.Bytes)[builder.Head() :])


class _Codes:
    """The operator codes of the file: each operator in each version once."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._known: dict[tuple[str, int], int] = {}

    def add(self, op: Op) -> int:
        key = (op.kind, version_of(op))
        if key not in self._known:
            self._known[key] = len(self.all)
            code = generated.OperatorCodeT()
            code.builtinCode = schema.OPERATORS[op.kind]
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.version = key[1]
            self.all.append(code)
        return self._known[key]


def _subgraph(graph: Graph, buffers: _Buffers, codes: _Codes, number: dict[Graph, int]) -> Any:
    tensors = graph.tensors()
    place = {tensor: i for i, tensor in enumerate(tensors)}
    made = generated.SubGraphT()
    made.name = graph.name
    made.tensors = [_tensor(tensor, buffers) for tensor in tensors]
    made.inputs = np.array([place[tensor] for tensor in graph.inputs], np.int32)
    made.outputs = np.array([place[tensor] for tensor in graph.outputs], np.int32)
    made.operators = [_operator(op, place, codes, number) for op in graph.ops]
    return made


def _tensor(tensor: Tensor, buffers: _Buffers) -> Any:
    made = generated.TensorT()
    made.name = tensor.name or None
    made.type = schema.TENSOR_TYPES[tensor.dtype]
    made.shape = np.array([1 if size < 0 else size for size in tensor.shape], np.int32)
    if any(size < 0 for size in tensor.shape):
        made.shapeSignature = np.array(tensor.shape, np.int32)
    made.hasRank = True
    made.isVariable = tensor.variable
    made.buffer = buffers.take(tensor)
    if tensor.quantization is not None:
        made.quantization = generated.QuantizationParametersT()
        made.quantization.scale = np.asarray(tensor.quantization.scale, np.float32).reshape(-1)
        made.quantization.zeroPoint = np.asarray(tensor.quantization.zero_point, np.int64).reshape(-1)
        made.quantization.quantizedDimension = tensor.quantization.axis
    return made


def _operator(op: Op, place: dict[Tensor, int], codes: _Codes, number: dict[Graph, int]) -> Any:
    made = generated.OperatorT()
    made.opcodeIndex = codes.add(op)
    made.inputs = np.array([-1 if tensor is None else place[tensor] for tensor in op.inputs], np.int32)
    made.outputs = np.array([place[tensor] for tensor in op.outputs], np.int32)
    table = schema.options_table(op.kind)
    if table is None:
        assert not op.options, f"{op.kind} has no options"
        return made
    options = getattr(generated, f"{table}T")()
    for field, value in op.options.items():
        name = schema.attribute(field)
        assert hasattr(options, name), f"{table} has no field {field}"
        given = number[value] if isinstance(value, Graph) else schema.enumerated(field, value)
        setattr(options, name, given)
    if op.kind in _WITHOUT_OPTIONS:
        return made
    shared = _SharedTable(options)
    second = getattr(generated.BuiltinOptions2, table, None)
    if second is not None:
        made.builtinOptions2Type, made.builtinOptions2 = second, shared
    else:
        made.builtinOptionsType, made.builtinOptions = getattr(generated.BuiltinOptions, table), shared
    return made


def _signature(graph: Graph, written: Any) -> Any:
    made = generated.SignatureDefT()
    made.signatureKey = SIGNATURE_KEY
    made.subgraphIndex = 0
    made.inputs = [_named(tensor, i) for tensor, i in zip(graph.inputs, written.inputs, strict=True)]
    made.outputs = [_named(tensor, i) for tensor, i in zip(graph.outputs, written.outputs, strict=True)]
    return made


def _named(tensor: Tensor, index: int) -> Any:
    made = generated.TensorMapT()
    made.name = tensor.name
    made.tensorIndex = int(index)
    return made


def _metadata(name: str, raw: bytes, buffers: _Buffers) -> Any:
    made = generated.MetadataT()
    made.name = name
    made.buffer = buffers.add(np.frombuffer(raw, np.uint8))
    return made
