"""Small TFLite models written with LiteRT's own schema classes: sound ones, and ones that runtimes refuse or die of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mlpack_edge.core.signature import METADATA_KEY, Signature

Array = NDArray[Any]
OP: Any = schema.BuiltinOperator
_TYPES = {
    "float32": schema.TensorType.FLOAT32, "int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8,
    "int32": schema.TensorType.INT32, "int64": schema.TensorType.INT64, "bool": schema.TensorType.BOOL,
    "resource": schema.TensorType.RESOURCE,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """shape: -1 where a size varies. scales: one (a tensor) or several (a slice along `axis`)."""

    name: str
    shape: Sequence[int]
    dtype: str = "float32"
    data: Array | None = None
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0
    variable: bool = False


@dataclass(frozen=True)
class Op:
    """options: the name of the options table without `Options`, and its fields."""

    code: int
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: tuple[str, dict[str, Any]] | None = None
    version: int = 1
    custom: str = ""


#: Tensors, operators, inputs, outputs.
Graph = tuple[Sequence[Tensor], Sequence[Op], Sequence[str], Sequence[str]]


def tflite(
    tensors: Sequence[Tensor],
    ops: Sequence[Op],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    signature: Signature | None = None,
    names: dict[str, str] | None = None,
    others: Sequence[Graph] = (),
) -> bytes:
    """The bytes of a model; `others` are the graphs that operators call, from number 1 on.

    names: tensor -> its name in the signature definition, which there is only then.
    """
    place = {tensor.name: index for index, tensor in enumerate(tensors)}
    model: Any = schema.ModelT()
    model.version, model.description = 3, b"test"
    model.buffers, model.operatorCodes, model.subgraphs = [_buffer(None)], [], []
    _add_graph(model, tensors, ops, inputs, outputs)
    for other in others:
        _add_graph(model, *other)
    if signature is not None:
        entry: Any = schema.MetadataT()
        entry.name, entry.buffer = METADATA_KEY.encode(), len(model.buffers)
        model.buffers.append(_buffer(np.frombuffer(signature.dumps().encode(), np.uint8)))
        model.metadata = [entry]
    if names is not None:
        definition: Any = schema.SignatureDefT()
        definition.signatureKey, definition.subgraphIndex = b"serving_default", 0
        definition.inputs = [_map(names[name], place[name]) for name in inputs]
        definition.outputs = [_map(names[name], place[name]) for name in reversed(outputs)]
        model.signatureDefs = [definition]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _add_graph(
    model: Any, tensors: Sequence[Tensor], ops: Sequence[Op], inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    place = {tensor.name: index for index, tensor in enumerate(tensors)}
    graph: Any = schema.SubGraphT()
    graph.tensors = [_tensor(tensor, model) for tensor in tensors]
    graph.operators = [_operator(op, index, place) for index, op in enumerate(ops, len(model.operatorCodes))]
    model.operatorCodes += [_code(op) for op in ops]
    graph.inputs, graph.outputs = [place[name] for name in inputs], [place[name] for name in outputs]
    model.subgraphs.append(graph)


def _buffer(data: Array | None) -> Any:
    holder: Any = schema.BufferT()
    holder.data = None if data is None else np.frombuffer(data.tobytes(), np.uint8)
    return holder


def _tensor(tensor: Tensor, model: Any) -> Any:
    made: Any = schema.TensorT()
    made.name, made.type, made.isVariable = tensor.name.encode(), _TYPES[tensor.dtype], tensor.variable
    made.shape = [abs(size) for size in tensor.shape]
    if min(tensor.shape, default=0) < 0:
        made.shapeSignature = list(tensor.shape)
    if tensor.data is not None:
        made.buffer = len(model.buffers)
        model.buffers.append(_buffer(np.asarray(tensor.data, tensor.dtype)))
    else:
        made.buffer = 0
    if tensor.scales:
        parameters: Any = schema.QuantizationParametersT()
        parameters.scale = list(tensor.scales)
        parameters.zeroPoint = list(tensor.zero_points or [0] * len(tensor.scales))
        parameters.quantizedDimension = tensor.axis
        made.quantization = parameters
    return made


def _code(op: Op) -> Any:
    made: Any = schema.OperatorCodeT()
    made.builtinCode, made.deprecatedBuiltinCode, made.version = op.code, min(op.code, 127), op.version
    made.customCode = op.custom.encode() or None
    return made


def _operator(op: Op, index: int, place: dict[str, int]) -> Any:
    made: Any = schema.OperatorT()
    made.opcodeIndex = index
    made.inputs, made.outputs = [place.get(name, -1) for name in op.inputs], [place[name] for name in op.outputs]
    if op.options is not None:
        kind, fields = op.options
        table: Any = getattr(schema, f"{kind}OptionsT")()
        for name, value in fields.items():
            setattr(table, name, value)
        made.builtinOptionsType, made.builtinOptions = getattr(schema.BuiltinOptions, f"{kind}Options"), table
    return made


def _map(name: str, index: int) -> Any:
    made: Any = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), index
    return made


def add(batch: int = -1, *, code: int = OP.ADD, version: int = 1, custom: str = "", dtype: str = "float32") -> bytes:
    """y = x + w, w = [1, 2], x `[batch, 2]`; or an operator of another code, version or name in its place."""
    options = None if custom else ("Add", {})
    return tflite(
        [
            Tensor("x", [batch, 2], dtype),
            Tensor("w", [2], dtype, np.array([1, 2])),
            Tensor("y", [batch, 2], dtype),
        ],
        [Op(code, ["x", "w"], ["y"], options, version, custom)], ["x"], ["y"],
    )  # fmt: skip


def mlp(batch: int = -1, signature: Signature | None = None) -> bytes:
    """y = w2 relu(w1 x + b1) + b2, x `[batch, 3]`, y `[batch, 2]`; the hidden tensor is "hidden"."""
    w1, b1, w2, b2 = MLP_WEIGHTS
    fused = {"fusedActivationFunction": schema.ActivationFunctionType.RELU}
    return tflite(
        [
            Tensor("x", [batch, 3]), Tensor("w1", [4, 3], data=w1), Tensor("b1", [4], data=b1),
            Tensor("hidden", [batch, 4]), Tensor("w2", [2, 4], data=w2), Tensor("b2", [2], data=b2),
            Tensor("y", [batch, 2]),
        ],
        [
            Op(OP.FULLY_CONNECTED, ["x", "w1", "b1"], ["hidden"], ("FullyConnected", fused)),
            Op(OP.FULLY_CONNECTED, ["hidden", "w2", "b2"], ["y"], ("FullyConnected", {})),
        ],
        ["x"], ["y"], signature=signature,
    )  # fmt: skip


_RANDOM = np.random.default_rng(3)
MLP_WEIGHTS = tuple(_RANDOM.normal(size=shape).astype(np.float32) for shape in ((4, 3), 4, (2, 4), 2))


def mlp_answer(x: Array) -> Array:
    """What `mlp` computes, with numpy."""
    w1, b1, w2, b2 = MLP_WEIGHTS
    return np.asarray(np.maximum(x @ w1.T + b1, 0) @ w2.T + b2)


def requantized(scale: float = 0.5, zero_point: int = 3, out_scale: float = 0.25) -> bytes:
    """y = x, int8 `[?, 2]`, from one scale to another (QUANTIZE)."""
    return tflite(
        [
            Tensor("x", [-1, 2], "int8", scales=[scale], zero_points=[zero_point]),
            Tensor("y", [-1, 2], "int8", scales=[out_scale], zero_points=[-1]),
        ],
        [Op(OP.QUANTIZE, ["x"], ["y"])], ["x"], ["y"],
    )  # fmt: skip


def remembering() -> bytes:
    """y: a recurrent cell of size 1 (RNN) over x `[1, 1]`, h = x + h, whose h is a variable that outlives the call."""
    one = np.ones((1, 1), np.float32)
    return tflite(
        [
            Tensor("x", [1, 1]), Tensor("w", [1, 1], data=one), Tensor("r", [1, 1], data=one),
            Tensor("b", [1], data=np.zeros(1, np.float32)), Tensor("h", [1, 1], variable=True), Tensor("y", [1, 1]),
        ],
        [Op(OP.RNN, ["x", "w", "r", "b", "h"], ["y"], ("RNN", {}))],
        ["x"], ["y"],
    )  # fmt: skip


def coded(width: int, dtype: str, signature: Signature | None = None) -> bytes:
    """label = the code in the first column of `town` `[?, width]`; codes = all of them."""
    return tflite(
        [
            Tensor("town", [-1, width], dtype), Tensor("axis", [1], "int32", np.array([1])),
            Tensor("begin", [2], "int32", np.array([0, 0])), Tensor("size", [2], "int32", np.array([-1, 1])),
            Tensor("first", [-1, 1], dtype), Tensor("label", [-1], dtype),
            Tensor("zero", [], dtype, np.array(0)), Tensor("codes", [-1, width], dtype),
        ],
        [
            Op(OP.SLICE, ["town", "begin", "size"], ["first"], ("Slice", {})),
            Op(OP.SQUEEZE, ["first"], ["label"], ("Squeeze", {"squeezeDims": [1]})),
            Op(OP.ADD, ["town", "zero"], ["codes"], ("Add", {})),
        ],
        ["town"], ["label", "codes"], signature=signature,
    )  # fmt: skip


def endless() -> bytes:
    """y = x by a WHILE whose condition is always true."""
    shape: list[int] = []
    yes = [Tensor("i", shape), Tensor("true", shape, "bool", np.array(True)), Tensor("c", shape, "bool")]
    return tflite(
        [Tensor("x", shape), Tensor("y", shape)],
        [Op(OP.WHILE, ["x"], ["y"], ("While", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}))],
        ["x"], ["y"],
        others=[
            (yes, [Op(OP.LOGICAL_AND, ["true", "true"], ["c"], ("LogicalAnd", {}))], ["i"], ["c"]),
            ([Tensor("i", shape), Tensor("j", shape)], [Op(OP.ABS, ["i"], ["j"], ("Abs", {}))], ["i"], ["j"]),
        ],
    )  # fmt: skip
