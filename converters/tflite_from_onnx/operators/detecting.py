"""NonMaxSuppression by TFLite's NON_MAX_SUPPRESSION_V4, a row of the batch and a class at a time."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import Given
from mlpack_edge.converters.tflite_from_onnx.fixing import SizeMustBeFixed
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, int32, places
from mlpack_edge.converters.tflite_from_onnx.operators.slicing import at
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant
from mlpack_edge.converters.tflite_graph.model import Tensor

#: So many pairs of a row and a class are unrolled at most.
_MOST_PAIRS = 512
#: Boxes without area are put side by side from here on, where no picture is. Floats are exact there to 1.
_AWAY = float(-(1 << 23))
_NEVER = -1e9


def non_max_suppression(node: Node) -> Value:
    """NonMaxSuppression-10 to NonMaxSuppression-11, equal scores in order of their boxes as ONNX Runtime has them."""
    boxes, scores = node.input(0), node.input(1)
    rows, classes = scores.shape[:2]
    if isinstance(rows, str):
        raise SizeMustBeFixed(rows, f"NonMaxSuppression (node {node.name!r}) is written out for each row of the batch")
    if not isinstance(classes, int) or rows * classes > _MOST_PAIRS:
        raise node.refuse(f"it has {rows} rows and {classes} classes, and is unrolled for at most {_MOST_PAIRS} pairs")
    limits = _limits(node)
    if isinstance(limits[0], np.ndarray) and limits[0] < 1:
        return constant("", np.zeros((0, 3), np.int64))
    low = node.low
    if node.attr("center_point_box", 0):
        middle, half = low.ops("Split", boxes, axis=2, num_outputs=2, outputs=2)
        half = low.op("Mul", half, np.array(0.5, np.float32))
        boxes = low.op("Concat", low.op("Sub", middle, half), low.op("Add", middle, half), axis=2)
    found: list[Given] = []
    for row in range(rows):
        own = at(node, boxes, 0, row)
        of_row = at(node, scores, 0, row)
        for kind in range(classes):
            found.append(_selected(node, own, at(node, of_row, 0, kind), (row, kind), limits))
    spec = node.spec()
    joined = found[0] if len(found) == 1 else low.emit("CONCATENATION", found, "int32", spec.shape, axis=0)
    assert isinstance(joined, Tensor)
    return low.value(cast(low, joined, "int64", spec.shape), spec)


def _limits(node: Node) -> tuple[Given, Given, Given]:
    """How many boxes at most (int32), the overlap above which, and the score below which a box is left out (None: never)."""
    low = node.low
    most, overlap, least = (node.optional(place) for place in (2, 3, 4))
    count: Given = np.zeros((), np.int32)
    if most is not None and most.array is not None:
        count = np.array(np.clip(most.array.reshape(()), 0, 1 << 30), np.int32)
    elif most is not None:
        count = low.reshape(int32(low, most), ())
    numbers: list[Given] = []
    for value in (overlap, least):
        if value is None:
            numbers.append(None)
        elif value.array is not None:
            numbers.append(value.array.reshape(()))
        else:
            numbers.append(low.reshape(low.tensor(value), ()))
    return count, np.zeros((), np.float32) if numbers[0] is None else numbers[0], numbers[1]


def _above(node: Node, overlap: Given) -> Given:
    """The next number, at most 1: the kernel suppresses at the threshold, ONNX above it."""
    if isinstance(overlap, np.ndarray):
        return np.array(min(np.nextafter(np.float32(overlap), np.float32(np.inf)), 1), np.float32)
    low = node.low
    step = low.emit("MUL", [overlap, np.array(6.0e-8, np.float32)], "float32", ())
    made = low.emit("ADD", [overlap, step], "float32", ())
    made = low.emit("MAXIMUM", [made, np.array(2.4e-38, np.float32)], "float32", ())
    return low.emit("MINIMUM", [made, np.array(1, np.float32)], "float32", ())


def _selected(
    node: Node, boxes: Value, scores: Value, pair: tuple[int, int], limits: tuple[Given, Given, Given]
) -> Tensor:  # fmt: skip
    """Rows `[selected, 3]` of (row, class, box) for one row and class, int32.

    The kernel takes equal scores in any order and selects a box without area again and again, so that it is given the
    boxes in order with their places for scores, and those without area as squares that touch no other box.
    """
    low = node.low
    count = scores.shape[0]
    most, overlap, least = limits
    size = low.size_tensor(count)
    ranked, order = low.emit_many("TOPK_V2", [low.tensor(scores), size], [("float32", (count,)), ("int32", (count,))])
    sorted_boxes = low.emit("GATHER", [low.tensor(boxes), order], "float32", (count, 4), axis=0, batch_dims=0)
    place = cast(low, places(low, ranked, (count,), 0), "float32", (count,))
    given = low.emit("NEG", [place], "float32", (count,))
    if least is not None:
        kept = low.emit("GREATER", [ranked, least], "bool", (count,))
        given = low.emit("SELECT_V2", [kept, given, np.array(2 * _NEVER, np.float32)], "float32", (count,))
    limit: Given
    if isinstance(most, np.ndarray) and isinstance(count, int):
        limit = np.array(min(int(most), count), np.int32)
    else:
        limit = low.emit("MINIMUM", [most, size], "int32", ())
    apart = _with_area(node, sorted_boxes, place, count, overlap)
    inputs = [apart, given, limit, _above(node, overlap), np.array(_NEVER, np.float32)]
    width = int(limit) if isinstance(limit, np.ndarray) else "?"
    chosen, number = low.emit_many("NON_MAX_SUPPRESSION_V4", inputs, [("int32", (width,)), ("int32", ())])
    end = low.reshape(number, (1,))
    zero = np.zeros(1, np.int32)
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
    valid = low.emit("STRIDED_SLICE", [chosen, zero, end, np.ones(1, np.int32)], "int32", ("?",), **masks)
    box = low.emit("GATHER", [order, valid], "int32", ("?",), axis=0, batch_dims=0)
    column = low.emit("MUL", [low.reshape(box, ("?", 1)), np.array([0, 0, 1], np.int32)], "int32", ("?", 3))
    return low.emit("ADD", [column, np.array([*pair, 0], np.int32)], "int32", ("?", 3))


def _with_area(node: Node, boxes: Tensor, place: Tensor, count: int | str, overlap: Given) -> Tensor:
    """Boxes `[count, 4]`, those without area replaced by squares apart from each other; all where none may be suppressed."""
    low = node.low
    first, last = (
        low.emit(
            "STRIDED_SLICE",
            [boxes, np.array([0, start], np.int32), np.array([0, start + 2], np.int32), np.ones(2, np.int32)],
            "float32", (count, 2),
            begin_mask=1, end_mask=1, ellipsis_mask=0, new_axis_mask=0, shrink_axis_mask=0,
        )
        for start in (0, 2)
    )  # fmt: skip
    sides = low.emit("SUB", [first, last], "float32", (count, 2))
    area = low.emit("REDUCE_PROD", [sides, np.array([1], np.int32)], "float32", (count, 1), keep_dims=True)
    none = low.emit("EQUAL", [area, np.array(0, np.float32)], "bool", (count, 1))
    never = low.emit("GREATER_EQUAL", [overlap, np.array(1, np.float32)], "bool", ())
    none = low.emit("LOGICAL_OR", [none, never], "bool", (count, 1))
    twice = low.emit("MUL", [low.reshape(place, (count, 1)), np.array(2, np.float32)], "float32", (count, 1))
    away = low.emit("ADD", [twice, np.array([_AWAY, _AWAY, _AWAY + 1, _AWAY + 1], np.float32)], "float32", (count, 4))
    return low.emit("SELECT_V2", [none, away, boxes], "float32", (count, 4))


OPERATORS = {
    "NonMaxSuppression": non_max_suppression,
}
