"""A node table walked in TFLite: seven operators a level for all trees and rows at once, for a batch of any size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.forests.layout import NodeTable
from mlpack_edge.converters.tflite_from_onnx.forests.questions import Columns
from mlpack_edge.converters.tflite_from_onnx.loops import inside
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_graph.model import Graph, Tensor

Array = NDArray[Any]

#: Tables of at most so many nodes are walked with int16 numbers.
_MOST_SHORT = 32767
_MOST_BYTE = 127
#: From so many levels on the walk is a loop, of at most so many levels a turn. A turn costs about 2 us a call more than
#: its levels do without a loop, and the loop ends where all have come to leaves: it pays where few trees are deep.
WORTH_LOOPING, LEVELS_A_TURN = 30, 5


def walked(low: Lowering, table: NodeTable, rows: Tensor, batch: Size) -> Tensor:
    """What the leaf says that each tree leads to: float32 [batch, trees], to be read as the bits of an int32.

    rows: float32 [batch, columns], the columns that the table compares.
    """
    size = len(table.column)
    counts = "int16" if size <= _MOST_SHORT else "int32"
    shape = (batch, table.trees)
    thresholds = low.tensor_of(table.threshold, "thresholds")
    if table.levels == 0:
        # the first rows of no column at all, so that there is one row of leaves for each row
        zeros = low.emit("MUL", [_first(low, rows, batch), np.zeros(1, np.float32)], "float32", (batch, 1))
        kept = low.emit("NOT_EQUAL", [zeros, zeros], "bool", (batch, 1))
        none = low.emit("LOGICAL_AND", [kept, np.zeros((1, table.trees), np.bool_)], "bool", shape)
        number = low.emit("CAST", [none], counts, shape, in_data_type="bool", out_data_type=counts)
        at = low.emit("ADD", [number, np.arange(table.trees, dtype=counts)[None, :]], counts, shape)
        return low.emit("GATHER", [thresholds, at], "float32", shape, axis=0)
    last = int(table.column.max())
    column_type = "int8" if last <= _MOST_BYTE else "int16" if last <= _MOST_SHORT else "int32"
    # the columns and children that no round reads are left out
    looped = table.rounds >= WORTH_LOOPING
    count = size if looped else table.last if table.rounds else table.dense
    column, child = table.column[:count], table.child[:count]
    if table.tail:
        # one more row stands for all that come after
        column, child = np.append(column, last), np.append(child, 0)
    columns = low.tensor_of(column.astype(column_type), "columns")
    children = low.tensor_of(child.astype(counts), "children")
    at = _first_levels(low, table, rows, batch, (columns, thresholds, children))
    tables = columns, thresholds, children
    if not looped:
        for _ in range(table.rounds):
            at = _level(low, tables, rows, at, shape, table.last if table.tail else None)
    else:
        at = _until_leaves(low, tables, rows, at, shape, table.rounds)
    return low.emit("GATHER", [thresholds, at], "float32", shape, axis=0)


def _level(
    low: Lowering,
    tables: tuple[Tensor, ...],
    rows: Tensor,
    at: Tensor,
    shape: tuple[Size, ...],
    last: int | None = None,
) -> Tensor:
    """One level of all trees. last: from this place on all are leaves, which have no entries of their own."""
    columns, thresholds, children = tables
    counts = children.dtype
    place = at
    if last is not None:
        place = low.emit("MINIMUM", [at, np.array(last, np.dtype(counts))], counts, shape)
    column = _index(low, low.emit("GATHER", [columns, place], columns.dtype, shape, axis=0), shape)
    value = low.emit("GATHER", [rows, column], "float32", shape, axis=1, batch_dims=1)
    limit = low.emit("GATHER", [thresholds, at], "float32", shape, axis=0)
    holds = low.emit("LESS_EQUAL", [value, limit], "bool", shape)
    child = low.emit("GATHER", [children, place], counts, shape, axis=0)
    step = low.emit("CAST", [holds], counts, shape, in_data_type="bool", out_data_type=counts)
    following = low.emit("ADD", [child, step], counts, shape)
    if last is None:
        return following
    # children come after their parents; leaves have none and stay
    return low.emit("MAXIMUM", [at, following], counts, shape)


def _until_leaves(
    low: Lowering, tables: tuple[Tensor, ...], rows: Tensor, at: Tensor, shape: tuple[Size, ...], rounds: int
) -> Tensor:
    """Levels until every tree of every row has come to a leaf: a loop stands in the file once, and ends early."""

    def border(name: str) -> list[Tensor]:
        return [
            Tensor(f"{name}/rows", rows.dtype, rows.shape),
            Tensor(f"{name}/at", at.dtype, at.shape),
            Tensor(f"{name}/on", "bool", ()),
        ]

    body, condition = Graph(name="level"), Graph(name="on")
    condition.inputs = border("condition")
    condition.outputs = [condition.inputs[2]]
    body.inputs = border("body")
    own = tuple(Tensor(one.name, one.dtype, one.shape, one.data) for one in tables)
    with inside(low, body):
        after = body.inputs[1]
        for _ in range(math.ceil(rounds / math.ceil(rounds / LEVELS_A_TURN))):
            after = _level(low, own, body.inputs[0], after, shape)
        # leaves lead to themselves
        following = low.emit("GATHER", [own[2], after], after.dtype, shape, axis=0)
        same = low.emit("EQUAL", [following, after], "bool", shape)
        # a tensor of its own: constants of a sub-graph are not those of the graph around it
        axes = Tensor("axes", "int32", (2,), np.array([0, 1], np.int32))
        done = low.emit("REDUCE_ALL", [same, axes], "bool", (), keep_dims=False)
        body.outputs = [body.inputs[0], after, low.emit("LOGICAL_NOT", [done], "bool", ())]
    made = low.emit_many(
        "WHILE",
        [rows, at, np.array(True)],
        [("float32", rows.shape), (at.dtype, shape), ("bool", ())],
        cond_subgraph_index=condition,
        body_subgraph_index=body,
    )
    return made[1]


def _first_levels(low: Lowering, table: NodeTable, rows: Tensor, batch: Size, tables: tuple[Tensor, ...]) -> Tensor:
    """The top levels: every node in them is asked, then the answers are followed."""
    dense = table.dense
    wide = (batch, dense)
    columns, thresholds, children = (_head(low, one, dense) for one in tables)
    counts = children.dtype
    values = low.emit("GATHER", [rows, _index(low, columns, (dense,))], "float32", wide, axis=1)
    holds = low.emit("LESS_EQUAL", [values, low.reshape(thresholds, (1, dense))], "bool", wide)
    step = low.emit("CAST", [holds], counts, wide, in_data_type="bool", out_data_type=counts)
    following = low.emit("ADD", [step, low.reshape(children, (1, dense))], counts, wide)
    if table.levels == 1:
        return following
    shape = (batch, table.trees)
    starts, sizes = np.zeros(2, np.int32), np.array([-1, table.trees], np.int32)
    at = low.emit("SLICE", [following, starts, sizes], counts, shape)
    for _ in range(table.levels - 1):
        at = low.emit("GATHER", [following, at], counts, shape, axis=1, batch_dims=1)
    return at


def _head(low: Lowering, table: Tensor, count: int) -> Tensor:
    """The first `count` entries of a constant: taken when it runs, so that they stand in the file once."""
    if table.shape == (count,):
        return table
    bounds = np.zeros(1, np.int32), np.array([count], np.int32)
    return low.emit("SLICE", [table, *bounds], table.dtype, (count,))


def _index(low: Lowering, columns: Tensor, shape: tuple[Size, ...]) -> Tensor:
    """Columns in a type that GATHER takes for places."""
    if columns.dtype != "int8":
        return columns
    return low.emit("CAST", [columns], "int16", shape, in_data_type="int8", out_data_type="int16")


def _first(low: Lowering, rows: Tensor, batch: Size) -> Tensor:
    return low.emit("SLICE", [rows, np.zeros(2, np.int32), np.array([-1, 1], np.int32)], "float32", (batch, 1))


def compared(low: Lowering, columns: Columns, x: Tensor, batch: Size) -> Tensor:
    """The columns that the nodes compare, float32 [batch, columns], for the input `x` float32 [batch, features]."""
    parts: list[Tensor] = [x]
    if columns.negated:
        chosen = x
        width = len(columns.negated)
        if columns.negated != tuple(range(columns.width)):
            places = np.array(columns.negated, np.int32)
            chosen = low.emit("GATHER", [x, places], "float32", (batch, width), axis=1)
        parts.append(_negative(low, chosen, (batch, width)))
    if columns.sets:
        parts.append(_memberships(low, columns, x, batch))
    width = columns.nothing
    known = x if len(parts) == 1 else low.emit("CONCATENATION", parts, "float32", (batch, width), axis=1)
    pads = np.array([[0, 0], [0, 1]], np.int32)
    return low.emit("PADV2", [known, pads, np.array(np.nan, np.float32)], "float32", (batch, width + 1))


def _negative(low: Lowering, x: Tensor, shape: tuple[Size, ...]) -> Tensor:
    """-x by its sign bit: XNNPACK's NEG makes zeros of the smallest numbers (subnormal ones)."""
    bits = low.emit("BITCAST", [x], "int32", shape)
    turned = low.emit("BITWISE_XOR", [bits, np.full((1, 1), np.iinfo(np.int32).min, np.int32)], "int32", shape)
    return low.emit("BITCAST", [turned], "float32", shape)


def _memberships(low: Lowering, columns: Columns, x: Tensor, batch: Size) -> Tensor:
    """A column a set, 0 where x is in it and 1 elsewhere: the number of x among those of its column, looked up."""
    features = sorted({feature for feature, _, _ in columns.sets})
    made = []
    for feature in features:
        own = [(place, one) for place, one in enumerate(columns.sets) if one[0] == feature]
        numbers = np.unique(np.array([number for _, (_, members, _) in own for number in members], np.float64))
        numbers = numbers[numbers.astype(np.float32) == numbers]
        # row 0: x is none of the numbers; row j: it is number j - 1; the last: it is missing
        outside = np.ones((len(numbers) + 2, len(own)), np.int8)
        for place, (_, (_, members, missing)) in enumerate(own):
            outside[1:-1, place] = ~np.isin(numbers, members)
            outside[-1, place] = not missing
        one = low.emit("GATHER", [x, np.array([feature], np.int32)], "float32", (batch, 1), axis=1)
        known = len(numbers) + 1
        tests = np.concatenate([numbers, [np.nan]]).astype(np.float32)[None, :]
        equal = low.emit("EQUAL", [one, tests], "bool", (batch, known))
        missing_test = low.emit("NOT_EQUAL", [one, one], "bool", (batch, 1))
        last = np.zeros((1, known), np.bool_)
        last[0, -1] = True
        missing_there = low.emit("LOGICAL_AND", [missing_test, last], "bool", (batch, known))
        hit = low.emit("LOGICAL_OR", [equal, missing_there], "bool", (batch, known))
        number = low.emit("CAST", [hit], "int32", (batch, known), in_data_type="bool", out_data_type="int32")
        weighted = low.emit("MUL", [number, np.arange(1, known + 1, dtype=np.int32)[None, :]], "int32", (batch, known))
        code = low.emit("SUM", [weighted, np.array([1], np.int32)], "int32", (batch,), keep_dims=False)
        found = low.emit("GATHER", [outside, code], "int8", (batch, len(own)), axis=0)
        made.append(
            low.emit("CAST", [found], "float32", (batch, len(own)), in_data_type="int8", out_data_type="float32")
        )
    whole = made[0] if len(made) == 1 else low.emit(
        "CONCATENATION", made, "float32", (batch, len(columns.sets)), axis=1
    )  # fmt: skip
    order = [place for feature in features for place, one in enumerate(columns.sets) if one[0] == feature]
    if order == list(range(len(order))):
        return whole
    return low.emit("GATHER", [whole, np.argsort(order).astype(np.int32)], "float32", (batch, len(order)), axis=1)
