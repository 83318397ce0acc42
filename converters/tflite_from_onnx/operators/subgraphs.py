"""Sub-graphs of a node: lowered in its place, or as the body of a WHILE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.emitter import held
from mlpack_edge.converters.tflite_from_onnx.loops import State, entry, inside, repeat
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.indices import cast, int32
from mlpack_edge.converters.tflite_from_onnx.operators.slicing import cut
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value, constant
from mlpack_edge.converters.tflite_graph.model import Graph, Tensor


def run_inside(node: Node, graph: onnx.GraphProto, given: Mapping[str, Value], prefix: str) -> list[Value]:
    """Lower a sub-graph of the node in its place; given: its inputs by name. Its outputs."""
    scope = node.scope.inner({item.name: item for item in graph.initializer})
    scope.update(given)
    opsets = {**node.low.opsets, "": node.version}
    node.low.run(graph.node, scope, f"{node.name}/{prefix}", opsets)
    return [scope[output.name] for output in graph.output]


def rank_of(declared: onnx.ValueInfoProto) -> list[Size]:
    """The shape of a round's number, of rank 0 or, as some bodies say, 1."""
    return [1] * len(declared.type.tensor_type.shape.dim)


def loop_at_run_time(node: Node) -> list[Value | None]:
    """A Loop of as many rounds as an input says: a WHILE.

    Where its condition changes, what is carried stays what it is from then on; a loop that makes something in each round has
    to keep its condition. What it makes in each round is appended to a tensor that grows. One round more is run, in front, which changes
    nothing and whose row is cut off: LiteRT 2.3 with XNNPACK now and then gives wrong numbers after a WHILE that runs
    no round in an interpreter that was resized.
    """
    low, condition = node.low, node.optional(1)
    carried = [node.input(place) for place in range(2, len(node.inputs))]
    kept = [Spec(value.dtype, value.shape) for value in carried]
    scans, changes = _made_in_a_round(node, kept)
    if changes and scans:
        raise node.refuse("its condition changes, and how much it makes is known only when the model runs")
    states: list[State] = [(low.tensor(value), value.shape) for value in carried]
    for spec in scans:
        known = sizes.known(spec.shape)
        if known is None or 0 in known:
            raise node.refuse(f"the shape {list(spec.shape)} of what it makes in a round is not known")
        # WHILE takes no empty tensor, so that it grows from one row, which is cut off in the end as well
        states.append((low.tensor_of(np.zeros((1, *known), held(spec.dtype))), ("?", *known)))

    if changes:
        states.append((low.tensor_of(np.array(True)), ()))

    def step(number: Tensor, tensors: list[Tensor]) -> list[Tensor]:
        counts = low.emit("GREATER", [number, np.array(0, np.int32)], "bool", ())
        before_it = low.emit("SUB", [number, np.array(1, np.int32)], "int32", ())
        place = low.emit("MAXIMUM", [before_it, np.array(0, np.int32)], "int32", ())
        if changes:
            counts = low.emit("LOGICAL_AND", [counts, tensors[-1]], "bool", ())
        on, made = _round(node, place, tensors[: len(carried)], kept)
        after = [
            low.emit("SELECT_V2", [counts, low.tensor(value), before], value.dtype, value.shape)
            for value, before in zip(made[: len(carried)], tensors, strict=False)
        ]
        for value, before in zip(made[len(carried) :], tensors[len(carried) :], strict=False):
            row = low.reshape(low.tensor(value), (1, *value.shape))
            after.append(low.emit("CONCATENATION", [before, row], value.dtype, ("?", *value.shape), axis=0))
        if changes:
            still = low.reshape(low.tensor(on), ())
            after.append(low.emit("SELECT_V2", [counts, still, tensors[-1]], "bool", ()))
        return after

    count = low.reshape(int32(low, node.input(0)), ())
    if condition is not None:  # what it is in the beginning
        begins = low.reshape(low.tensor(condition), ())
        count = low.emit("SELECT_V2", [begins, count, np.array(0, np.int32)], "int32", ())
    count = low.emit("MAXIMUM", [count, np.array(0, np.int32)], "int32", ())
    count = low.emit("ADD", [count, np.array(1, np.int32)], "int32", ())
    tensors = repeat(low, count, states, step)
    rounds = f"?{node.name}"
    made: list[Value | None] = [low.value(tensor, spec) for tensor, spec in zip(tensors, kept, strict=False)]
    for tensor, spec in zip(tensors[len(kept) :], scans, strict=False):
        grown = low.value(tensor, Spec(spec.dtype, (f"{rounds}.1", *spec.shape)))
        made.append(cut(node, grown, {0: (2, None, 1, rounds)}))
    return made


def _made_in_a_round(node: Node, kept: Sequence[Spec]) -> tuple[list[Spec], bool]:
    """What a round makes besides what it carries, and whether its condition can change: found by lowering it once, into
    a graph that nobody writes."""
    with inside(node.low, Graph(name="tried")):
        on, made = _round(node, entry("int32", ()), [entry(held(spec.dtype), spec.shape) for spec in kept], kept)
    return [Spec(value.dtype, value.shape) for value in made[len(kept) :]], on.array is None


def _round(node: Node, number: Tensor, tensors: Sequence[Tensor], kept: Sequence[Spec]) -> tuple[Value, list[Value]]:
    """Lower the body once: its condition, its other outputs. tensors: what is carried, as `kept` describes it."""
    low, body = node.low, node.attr("body")
    shape = rank_of(body.input[0])
    first = low.value(low.reshape(cast(low, number, "int64", ()), shape), Spec("int64", tuple(shape)))
    values = [low.value(tensor, spec) for tensor, spec in zip(tensors, kept, strict=True)]
    names = [item.name for item in body.input]
    given = dict(zip(names, [first, constant("", np.array(True)), *values], strict=True))
    on, *made = _run_apart(node, body, given)
    if on.array is not None and not on.array.reshape(()):
        raise node.refuse("its condition ends it after the first round, and says so only there")
    made = [_as_declared(value, output) for value, output in zip(made, body.output[1:], strict=True)]
    for value, spec in zip(made, kept, strict=False):
        if value.shape != spec.shape or value.dtype != spec.dtype:
            raise node.refuse(f"what it carries changes from {list(spec.shape)} to {list(value.shape)}")
    return on, made


def _as_declared(value: Value, declared: onnx.ValueInfoProto) -> Value:
    """Sizes that inference does not know, as the body declares them."""
    dims = declared.type.tensor_type.shape.dim
    if len(dims) != value.rank or sizes.is_known(value.shape):
        return value
    shape = tuple(
        dim.dim_value if isinstance(size, str) and dim.dim_value > 0 else size
        for size, dim in zip(value.shape, dims, strict=True)
    )
    return Value(value.name, value.dtype, shape, value.array, value.elements, dict(value.forms))


def _run_apart(node: Node, graph: onnx.GraphProto, given: Mapping[str, Value]) -> list[Value]:
    """As `run_inside`, with copies of the values from outside: tensors made here are not to be found there."""
    outside = node.scope
    node.scope = outside.inner({})
    for name, value in node.scope.items():
        node.scope[name] = Value(value.name, value.dtype, value.shape, value.array, value.elements, dict(value.forms))
    try:
        return run_inside(node, graph, given, "round/")
    finally:
        node.scope = outside
