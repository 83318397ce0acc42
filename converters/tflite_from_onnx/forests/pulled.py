"""Thresholds pulled back to the columns of the input, through what scales, fills or rounds them on the way.

A scaler computed in float32 sends rows beside a threshold to the other side of it. What a node asks of `g(x)`, g any
column-wise step that never turns the order of numbers round, is asked of x itself: the float32 at which the answer
changes is found by bisection over all float32, with g evaluated by ONNX Runtime as the source has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.forests.forest import GT, GTE, LEQ, LT, Forest
from mlpack_edge.converters.tflite_from_onnx.forests.gathered import OWN, Gathered, alive
from mlpack_edge.converters.tflite_from_onnx.forests.origins import ColumnOrigins, Origins
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.onnxruntime import open_session, run_raw

Array = NDArray[Any]

#: (values [n], (input, its column) of each, the column of the result wanted of each) -> float64 [n]
Evaluate = Callable[[NDArray[np.float32], Sequence[tuple[str, int]], NDArray[np.int64]], NDArray[np.float64]]


def pulled_back(
    found: Gathered,
    model: onnx.ModelProto,
    constants: Mapping[str, Array],
    signature: Signature,
    widths: Mapping[str, int],
) -> Gathered:
    """Each forest reading columns of the graph's inputs where its own come from there column by column.

    model: the graph as the source has it, which is evaluated. widths: of tensors of rank 2, where it is known. Thresholds are found for float32 inputs.
    """
    origins = ColumnOrigins(found.nodes, constants, signature, widths)
    made: list[onnx.NodeProto] = []
    forests = dict(found.forests)
    for node in found.nodes:
        where = origins.of(node.input[0]) if node.domain == OWN else None
        if where is None or not any(where) or node.output[0] not in forests:
            made.append(node)
            continue
        forest = forests[node.output[0]]
        kept = _kept(forest, where)
        if not any(kept) or (all(one is None or one.same for one in kept) and _is_input(node.input[0], signature)):
            made.append(node)
            continue
        forests[node.output[0]] = _pulled(forest, kept, _evaluator(node.input[0], found.source, model, signature))
        made.extend(_reading(node, kept, signature))
    return Gathered(alive(made, {value.name for value in model.graph.output}), found.source, forests)


def _is_input(name: str, signature: Signature) -> bool:
    return any(spec.name == name for spec in signature.inputs)


def _kept(forest: Forest, where: Origins) -> Origins:
    """The origins of the columns that can be pulled back: what else than an order is asked needs the very number."""
    strange = ~forest.is_leaf & (forest.mode > GT)
    columns = set(forest.feature[strange].tolist())
    return tuple(
        one if one is not None and (one.same or place not in columns) else None for place, one in enumerate(where)
    )


def _reading(node: onnx.NodeProto, where: Origins, signature: Signature) -> list[onnx.NodeProto]:
    """The node, reading the columns of the inputs themselves, and the others where they were."""
    name = node.output[0]
    made: list[onnx.NodeProto] = []
    parts: list[tuple[str, list[int]]] = []
    for place, one in enumerate(where):
        source, index = (node.input[0], place) if one is None else (one.name, one.index)
        if parts and parts[-1][0] == source:
            parts[-1][1].append(index)
        else:
            parts.append((source, [index]))
    names = []
    for number, (source, columns) in enumerate(parts):
        at, picked = f"{name}/columns{number}", f"{name}/rows{number}"
        made.append(helper.make_node("Constant", [], [at], value_ints=columns))
        made.append(helper.make_node("Gather", [source, at], [picked], axis=1, name=picked))
        made.append(helper.make_node("Cast", [picked], [f"{picked}f"], to=onnx.TensorProto.FLOAT, name=f"{picked}f"))
        names.append(f"{picked}f")
    if len(names) > 1:
        made.append(helper.make_node("Concat", names, [f"{name}/rows"], axis=1, name=f"{name}/rows"))
        names = [f"{name}/rows"]
    whole = {spec.name: spec.shape for spec in signature.inputs}
    every = list(range(len(where)))
    if len(parts) == 1 and parts[0][1] == every and whole.get(parts[0][0], ("", 0))[1:] == (len(where),):
        made, names = [], [parts[0][0]]
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[0] = names[0]
    return [*made, copy]


def _pulled(forest: Forest, where: Origins, evaluate: Evaluate) -> Forest:
    """The forest with the thresholds of these columns as float32 numbers of the input."""
    moved = np.array([one is not None and not one.same for one in where])
    nodes = np.flatnonzero(~forest.is_leaf)
    nodes = nodes[moved[forest.feature[nodes]]]
    if not nodes.size:
        return forest
    asked = np.stack([forest.feature[nodes].astype(np.float64), forest.threshold[nodes]], axis=1)
    pairs, place = np.unique(np.column_stack([asked, forest.mode[nodes]]), axis=0, return_inverse=True)
    column, limit, mode = pairs[:, 0].astype(np.int64), pairs[:, 1], pairs[:, 2].astype(np.uint8)
    origin = [one for one in (where[index] for index in column) if one is not None]
    rising = np.array([one.rising for one in origin])
    # whether the answer is yes for small x, up to some number
    small = (mode <= LT) == rising
    inputs = [(one.name, one.index) for one in origin]

    def answer(x: NDArray[np.float32]) -> NDArray[np.bool_]:
        value = evaluate(x, inputs, column)
        with np.errstate(invalid="ignore"):
            compared = np.select(
                [mode == LEQ, mode == LT, mode == GTE], [value <= limit, value < limit, value >= limit], value > limit
            )
        return np.asarray(compared)

    # low: the last number at which the answer is that of small ones; high: the one after it
    low, high = np.full(len(pairs), _rank(-np.inf)), np.full(len(pairs), _rank(np.inf))
    no_small, no_large = answer(_number(low)) != small, answer(_number(high)) == small
    while (high - low > 1).any():
        middle = (low + high) // 2
        early = answer(_number(middle)) == small
        low, high = np.where(early, middle, low), np.where(early, high, middle)
    threshold = np.where(small, _number(low), _number(high)).astype(np.float64)
    changed = np.where(small, LEQ, GTE)
    always, never = np.where(small, no_large, no_small), np.where(small, no_small, no_large)
    threshold = np.where(always, np.where(small, np.inf, -np.inf), threshold)
    threshold = np.where(never, np.where(small, -np.inf, np.inf), threshold)
    changed = np.where(never, np.where(small, LT, GT), changed)
    empty = evaluate(np.full(len(pairs), np.nan, np.float32), inputs, column)
    stays = np.isnan(empty)
    yes = answer(np.full(len(pairs), np.nan, np.float32))
    missing = forest.missing_true.copy()
    missing[nodes] = np.where(stays[place.reshape(-1)], missing[nodes], yes[place.reshape(-1)])
    thresholds, modes = forest.threshold.copy(), forest.mode.copy()
    thresholds[nodes], modes[nodes] = threshold[place.reshape(-1)], changed[place.reshape(-1)]
    return replace(forest, threshold=thresholds, mode=modes, missing_true=missing)


def _rank(number: float) -> int:
    """Float32 numbers in their order as integers, -0.0 right below 0.0."""
    bits = int(np.array(number, np.float32).view(np.int32))
    return bits if bits >= 0 else -(bits & 0x7FFFFFFF) - 1


def _number(rank: NDArray[np.int64]) -> NDArray[np.float32]:
    bits = np.where(rank >= 0, rank, (-rank - 1) | 0x80000000)
    return bits.astype(np.uint32).view(np.float32)


def _evaluator(rows: str, nodes: Sequence[onnx.NodeProto], model: onnx.ModelProto, signature: Signature) -> Evaluate:
    """What a column of the tensor `rows` is where one column of an input has a given value, a row each."""
    part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = "columns"
    part.graph.node.extend(alive(nodes, {rows}))
    read = {name for node in part.graph.node for name in node.input}
    part.graph.input.extend(value for value in model.graph.input if value.name in read)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    part.graph.output.append(helper.make_empty_tensor_value_info(rows))
    session = open_session(part.SerializeToString())

    def evaluate(
        x: NDArray[np.float32], inputs: Sequence[tuple[str, int]], columns: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        feeds: dict[str, Array] = {}
        for spec in signature.inputs:
            shape = (len(x), *(size if isinstance(size, int) else 1 for size in spec.shape[1:]))
            if spec.dtype == "string":
                feeds[spec.name] = np.full(shape, "", object)
            else:
                feeds[spec.name] = np.zeros(shape, np.dtype(spec.dtype))
        for row, (name, index) in enumerate(inputs):
            feeds[name][row, index] = x[row]
        given = {value.name for value in session.get_inputs()}
        made = run_raw(session, {name: array for name, array in feeds.items() if name in given})[rows]
        return np.asarray(made, np.float64)[np.arange(len(x)), columns]

    return evaluate
