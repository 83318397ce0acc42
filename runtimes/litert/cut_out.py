"""Operators of a TFLite file cut out into models of their own, so that each can be timed where no profiler tells.

A cut-out holds one operator with its own constants, fed with the values it met in the model; a second one holds it
`repeats` times side by side, so that the difference of the two is free of what a call costs. Equal operators (same
options, types, shapes) are cut once and counted.

What such a table does not see: XNNPACK's fusing across operators (a reshape or an activation that costs nothing in the
whole still counts), the caches as the whole model leaves them, and copies between XNNPACK and the other operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput

Array = NDArray[Any]

#: Constants up to this many elements say what an operator does (axes, sizes); larger ones are weights.
_SMALL = 64
#: A cut-out with repeats stays within this many bytes, about a second-level cache, as the operators of a model do.
_MOST_BYTES = 256 * 1024
_MOST_REPEATS = 32
#: Operators that run other graphs of the file, or keep something between calls.
_CALLERS = {"WHILE", "IF", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE"}
_KEEPERS = {
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
    "HASHTABLE",
    "HASHTABLE_FIND",
    "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE",
}


@dataclass(frozen=True, slots=True)
class CutOut:
    """op: its name in the schema. names: of the first output of every operator it stands for, with `counts`, how often
    each runs in one inference. one, many: bytes of the model with the operator once and `repeats` times; feeds: arrays in
    the order of their inputs. `repeats` 1: `many` is empty, it is too large to be repeated.
    """

    op: str
    names: tuple[str, ...]
    counts: tuple[float, ...]
    one: bytes
    many: bytes
    repeats: int
    feeds: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """cut_outs, and the operators that could not be cut: (op, name of the first output, why)."""

    cut_outs: tuple[CutOut, ...]
    left_out: tuple[tuple[str, str, str], ...]


def cut(path: Path, feeds: Sequence[Array], runs: Mapping[int, float] | None = None) -> Cut:
    """Cut every operator of a file that loads and runs here. feeds: arrays in the order of the file's inputs.

    runs: graph -> how often it runs in one inference; needed where operators run other graphs. Runs the model once,
    without XNNPACK, whose inner values cannot be read. Raises BadInput where `runs` is needed and not given.
    """
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    codes = [names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "?") for code in model.operatorCodes]
    called = any(codes[op.opcodeIndex] in _CALLERS for graph in model.subgraphs for op in graph.operators)
    if called and runs is None:
        raise BadInput(
            f"the operators of {path.name} cannot be timed one by one", "profile it where ai-edge-litert 2.2 or newer runs",
            why="operators in it run other graphs, and how often is not known",
        )  # fmt: skip
    times = {0: 1.0} if runs is None else {**runs, 0: 1.0}
    values = _Values(path, feeds)
    groups: dict[Any, list[tuple[str, float]]] = {}
    first: dict[Any, tuple[int, Any]] = {}
    left_out = []
    for number, graph in enumerate(model.subgraphs):
        for op in graph.operators if times.get(number) else ():
            code = codes[op.opcodeIndex]
            name = _text(graph.tensors[op.outputs[0]].name) if len(op.outputs) else code
            why = _uncut(model, graph, op, code)
            if why:
                left_out.append((code, name, why))
                continue
            key = (code, *_key(model, number, graph, op, values))
            groups.setdefault(key, []).append((name, times[number]))
            first.setdefault(key, (number, op))
    made = [_cut_out(schema, model, key[0], *first[key], values, members) for key, members in groups.items()]
    return Cut(tuple(made), tuple(left_out))


def _uncut(model: Any, graph: Any, op: Any, code: str) -> str:
    if code in _CALLERS:
        return "it runs other graphs, whose operators are counted"
    touched = [graph.tensors[place] for place in (*op.inputs, *op.outputs) if place >= 0]
    if code in _KEEPERS or any(tensor.isVariable for tensor in touched):
        return "it keeps something between calls"
    from ai_edge_litert import schema_py_generated as schema

    plain = schema.TensorType
    if any(tensor.type in (plain.STRING, plain.RESOURCE, plain.VARIANT) for tensor in touched):
        return "it works on texts or resources"
    if any(model.buffers[tensor.buffer].offset > 1 for tensor in touched):
        return "its constants stand outside the model"
    return ""


class _Values:
    """What each tensor held in one run: shapes and numbers, by graph and place."""

    def __init__(self, path: Path, feeds: Sequence[Array]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter: Any = Interpreter(
            model_path=str(path), experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )  # fmt: skip
        for found, array in zip(self._interpreter.get_input_details(), feeds, strict=True):
            self._interpreter.resize_tensor_input(found["index"], array.shape)
        self._interpreter.allocate_tensors()
        for found, array in zip(self._interpreter.get_input_details(), feeds, strict=True):
            self._interpreter.set_tensor(found["index"], array)
        self._interpreter.invoke()
        self._held: dict[tuple[int, int], Array] = {}

    def of(self, graph: int, place: int) -> Array:
        if (graph, place) not in self._held:
            self._held[graph, place] = np.array(self._interpreter.get_tensor(place, graph))
        return self._held[graph, place]


def _constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _key(model: Any, number: int, graph: Any, op: Any, values: _Values) -> tuple[str, ...]:
    """What makes two operators cost the same."""
    parts = [repr(_plain(op.builtinOptions)), repr(_plain(op.builtinOptions2)), repr(_plain(op.customOptions))]
    for place in (*op.inputs, *op.outputs):
        if place < 0:
            parts.append("none")
            continue
        tensor = graph.tensors[place]
        shape = values.of(number, place).shape
        parts.append(f"{tensor.type} {shape} {tensor.quantization is not None} {_constant(model, tensor)}")
        if _constant(model, tensor) and np.prod(shape, dtype=np.int64) <= _SMALL:
            parts.append(bytes(np.asarray(model.buffers[tensor.buffer].data, np.uint8)).hex())
    return tuple(parts)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | np.ndarray):
        return [_plain(one) for one in value]
    return (type(value).__name__, {name: _plain(field) for name, field in vars(value).items()})


def _cut_out(
    schema: Any, model: Any, code: str, number: int, op: Any, values: _Values, members: list[tuple[str, float]]
) -> CutOut:
    graph = model.subgraphs[number]
    inputs = dict.fromkeys(
        place for place in op.inputs if place >= 0 and not _constant(model, graph.tensors[place])
    )  # one tensor may be read twice
    touched = [place for place in (*op.inputs, *op.outputs) if place >= 0]
    size = sum(values.of(number, place).nbytes for place in touched)
    repeats = max(1, min(_MOST_REPEATS, _MOST_BYTES // max(size, 1)))
    repeats = 1 if repeats < 4 else repeats

    return CutOut(
        code,
        tuple(name for name, _ in members),
        tuple(count for _, count in members),
        _model(schema, model, number, op, list(inputs), values, 1),
        _model(schema, model, number, op, list(inputs), values, repeats) if repeats > 1 else b"",
        repeats,
        tuple(values.of(number, place) for place in inputs),
    )


def _model(schema: Any, model: Any, number: int, op: Any, inputs: list[int], values: _Values, copies: int) -> bytes:
    import flatbuffers

    graph = model.subgraphs[number]
    made: Any = schema.ModelT()
    made.version, made.description = 3, b"an operator"
    empty: Any = schema.BufferT()
    made.buffers, made.operatorCodes = [empty], [model.operatorCodes[op.opcodeIndex]]
    cut: Any = schema.SubGraphT()
    cut.tensors, cut.operators, cut.outputs = [], [], []
    places: dict[int, int] = {}

    def tensor(place: int, name: str) -> int:
        found = graph.tensors[place]
        copy: Any = schema.TensorT()
        copy.name, copy.type, copy.quantization, copy.sparsity = name, found.type, found.quantization, found.sparsity
        copy.shape, copy.hasRank = list(values.of(number, place).shape), True
        if _constant(model, found):
            copy.buffer = len(made.buffers)
            made.buffers.append(model.buffers[found.buffer])
        else:
            copy.buffer = 0
        cut.tensors.append(copy)
        return len(cut.tensors) - 1

    for place in op.inputs:
        if place >= 0 and place not in places:
            places[place] = tensor(place, f"in{place}")
    cut.inputs = [places[place] for place in inputs]
    for turn in range(copies):
        again: Any = schema.OperatorT()
        for name, value in vars(op).items():
            setattr(again, name, value)
        again.opcodeIndex = 0
        again.inputs = [places[place] if place >= 0 else -1 for place in op.inputs]
        again.outputs = [tensor(place, f"out{place}_{turn}") for place in op.outputs]
        cut.operators.append(again)
        cut.outputs += again.outputs
    made.subgraphs = [cut]
    builder: Any = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")
