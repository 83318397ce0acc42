"""Control flow that is known while lowering: branches are put in their place, loops are unrolled.

An If whose condition is known only when the model runs becomes both branches and a choice between what they give; a
Loop whose number of rounds is, a WHILE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import elementwise
from mlpack_edge.converters.tflite_from_onnx.operators.shapes import renamed
from mlpack_edge.converters.tflite_from_onnx.operators.slicing import at
from mlpack_edge.converters.tflite_from_onnx.operators.subgraphs import loop_at_run_time, rank_of, run_inside
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant

#: A loop is unrolled to at most so many nodes.
_MOST_NODES = 4096


def if_(node: Node) -> list[Value | None]:
    """If-1 to If-25."""
    condition = node.input(0)
    branches = {True: node.attr("then_branch"), False: node.attr("else_branch")}
    if condition.array is not None:
        return list(map(renamed, run_inside(node, branches[bool(condition.array.reshape(()))], {}, "")))
    yes, no = (run_inside(node, branches[taken], {}, f"{taken}/".lower()) for taken in (True, False))
    choice = node.low.op("Reshape", condition, np.zeros(0, np.int64))
    made: list[Value | None] = []
    for place, (a, b) in enumerate(zip(yes, no, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise node.refuse(
                f"its condition is known only when the model runs, and its output {place} is {a.dtype} "
                f"{list(a.shape)} in one branch and {b.dtype} {list(b.shape)} in the other"
            )
        made.append(elementwise(node, "SELECT_V2", [choice, a, b], a.dtype))
    return made


def loop(node: Node) -> list[Value | None]:
    """Loop-1 to Loop-25 with a number of rounds that is known, or a condition that is known in each round."""
    body = node.attr("body")
    if node.optional(0) is not None and node.input(0).array is None:
        return loop_at_run_time(node)
    most = None if node.optional(0) is None else max(int(node.constant(0, "number of rounds").reshape(())), 0)
    condition = node.optional(1)
    carried = [node.input(place) for place in range(2, len(node.inputs))]
    names = [item.name for item in body.input]
    scans: list[list[Value]] = [[] for _ in range(len(body.output) - 1 - len(carried))]
    active: Value | None = None  # a condition that only the running model knows: whether this round still counts
    if condition is not None and condition.array is None:
        active = node.low.op("Reshape", condition, np.zeros(0, np.int64))
    elif condition is not None and not condition.array.reshape(()):  # type: ignore[union-attr]
        most = 0
    if most is not None and most * len(body.node) > _MOST_NODES and not scans and active is None:
        return loop_at_run_time(node)  # too long to be written out
    done = 0
    while most is None or done < most:
        if (done + 1) * len(body.node) > _MOST_NODES:
            raise node.refuse(f"it would be unrolled to more than {_MOST_NODES} nodes")
        if active is not None and (scans or most is None):
            raise node.refuse("how often it runs is known only when the model runs")
        going = constant("", np.array(True)) if active is None else active
        given = dict(
            zip(
                names,
                [constant("", np.full([1] * len(rank_of(body.input[0])), done, np.int64)), going, *carried],
                strict=True,
            )
        )
        on, *made = run_inside(node, body, given, f"{done}/")
        after = made[: len(carried)]
        for found, value in zip(scans, made[len(carried) :], strict=True):
            found.append(value)
        carried = (
            after if active is None else [_chosen(node, active, a, b) for a, b in zip(after, carried, strict=True)]
        )
        done += 1
        if on.array is None:
            still = node.low.op("Reshape", on, np.zeros(0, np.int64))
            active = still if active is None else node.low.op("And", active, still)
        elif not on.array.reshape(()):
            break
    return [*map(renamed, carried), *(_stacked(node, found, place) for place, found in enumerate(scans))]


def _chosen(node: Node, active: Value, new: Value, old: Value) -> Value:
    if new.shape != old.shape:
        raise node.refuse("what it carries changes its shape, and how often it runs is known only when the model runs")
    return elementwise(node, "SELECT_V2", [active, new, old], new.dtype)


def _stacked(node: Node, found: Sequence[Value], place: int) -> Value:
    if not found:
        output = node.attr("body").output[place + 1 + len(node.inputs) - 2]
        sizes = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        if 0 in sizes:
            raise node.refuse("it runs in no round, and the shape of what it would make is not known")
        dtype = onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
        return constant("", np.zeros((0, *sizes), dtype))
    return _joined(node, found, 0)


def _joined(node: Node, found: Sequence[Value], axis: int) -> Value:
    """Values of one shape as the parts of one along a further axis."""
    parts = [node.low.op("Unsqueeze", value, np.array([axis], np.int64)) for value in found]
    return node.low.op("Concat", *parts, axis=axis)


def scan(node: Node) -> list[Value | None]:
    """Scan-9 to Scan-25 over axes of known size; Scan-8 by row of a batch of known size."""
    if node.version >= 9:
        return list(_scan(node, list(node.inputs), 0))  # type: ignore[arg-type]
    if node.optional(0) is not None:
        raise node.refuse("it has lengths of sequences")
    rows = node.input(1).shape[0]
    if not isinstance(rows, int):
        raise node.refuse("its batch is known only when the model runs", f"fix it with --shape {rows}=...")
    values = [node.input(place) for place in range(1, len(node.inputs))]
    made = [_scan(node, [at(node, value, 0, row) for value in values], row) for row in range(rows)]
    return [_joined(node, of, 0) for of in zip(*made, strict=True)]


def _scan(node: Node, values: Sequence[Value], row: int) -> list[Value]:
    body, count = node.attr("body"), int(node.attr("num_scan_inputs"))
    carried, scanned = list(values[: len(values) - count]), values[len(values) - count :]
    states = len(carried)
    outputs = len(body.output) - states
    axes = [axis % value.rank for axis, value in zip(node.attr("scan_input_axes", [0] * count), scanned, strict=True)]
    into = node.attr("scan_output_axes", [0] * outputs)
    back = node.attr("scan_input_directions", node.attr("directions", [0] * count))
    back_out = node.attr("scan_output_directions", [0] * outputs)
    lengths = {value.shape[axis] for value, axis in zip(scanned, axes, strict=True)}
    length = lengths.pop()
    if lengths or not isinstance(length, int):
        raise node.refuse("the length that it scans is known only when the model runs", "fix it with --shape")
    if length * len(body.node) > _MOST_NODES or not length:
        raise node.refuse(f"it would be unrolled {length} times to more than {_MOST_NODES} nodes, or to none")
    names = [item.name for item in body.input]
    found: list[list[Value]] = [[] for _ in range(outputs)]
    for step in range(length):
        parts = [
            at(node, value, axis, length - 1 - step if turned else step)
            for value, axis, turned in zip(scanned, axes, back, strict=True)
        ]
        made = run_inside(node, body, dict(zip(names, [*carried, *parts], strict=True)), f"{row}.{step}/")
        carried = made[:states]
        for rows, value in zip(found, made[states:], strict=True):
            rows.append(value)
    stacked = [
        _joined(node, rows[::-1] if turned else rows, axis % (rows[0].rank + 1))
        for rows, axis, turned in zip(found, into, back_out, strict=True)
    ]
    return [*map(renamed, carried), *stacked]


def optional_get_element(node: Node) -> Value:
    """OptionalGetElement-18 of a tensor, which is there: itself."""
    return renamed(node.input(0))


def optional_has_element(node: Node) -> Value:
    """OptionalHasElement-15 to OptionalHasElement-18 of a tensor, or of nothing."""
    return constant("", np.array(node.optional(0) is not None))


OPERATORS = {
    "If": if_,
    "Loop": loop,
    "OptionalGetElement": optional_get_element,
    "OptionalHasElement": optional_has_element,
    "Scan": scan,
}
