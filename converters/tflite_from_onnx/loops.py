"""Loops of TFLite: WHILE with its condition and its body as sub-graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.emitter import Emitter
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: What goes round a loop: a tensor and its physical shape.
State = tuple[Tensor, tuple[Size, ...]]


@contextmanager
def inside(emitter: Emitter, graph: Graph) -> Iterator[None]:
    """Append to `graph`, a sub-graph, instead of the graph at hand; sizes are computed anew there.

    Tensors from outside may be used: `close` makes them inputs. Of a Value from outside take a copy with its own
    `forms`, else a form that is made inside would be found by those outside.
    """
    outer = emitter.graph, emitter.size_tensors, emitter.sources
    emitter.graph, emitter.size_tensors, emitter.sources = graph, {}, dict(emitter.sources)
    try:
        yield
    finally:
        emitter.graph, emitter.size_tensors, emitter.sources = outer


def close(graph: Graph) -> list[Tensor]:
    """Make the tensors that `graph` reads and that are from outside its further inputs; returns those outside."""
    own = {*graph.inputs, *(tensor for op in graph.ops for tensor in op.outputs)}
    read = [tensor for op in graph.ops for tensor in op.inputs if tensor is not None] + graph.outputs
    taken = list(dict.fromkeys(tensor for tensor in read if tensor not in own and tensor.data is None))
    inner = {tensor: entry(tensor.dtype, tensor.shape, tensor.name) for tensor in taken}
    for op in graph.ops:
        op.inputs[:] = [None if tensor is None else inner.get(tensor, tensor) for tensor in op.inputs]
    graph.outputs[:] = [inner.get(tensor, tensor) for tensor in graph.outputs]
    graph.inputs += [inner[tensor] for tensor in taken]
    return taken


def entry(dtype: str, shape: Sequence[Size], name: str = "") -> Tensor:
    """An input of a sub-graph."""
    return Tensor(name, dtype, tuple(size if isinstance(size, int) else -1 for size in shape))


def repeat(
    emitter: Emitter, count: Tensor, states: Sequence[State], step: Callable[[Tensor, list[Tensor]], list[Tensor]]
) -> list[Tensor]:
    """The states after `count` rounds (int32, rank 0) of `states = step(round, states)`, rounds counted from 0.

    `step` makes operators, and may read any tensor from outside: what only goes in is not copied from round to round.
    The shapes of the states stay what they are, so that the memory of every round is planned once.
    """
    name = f"loop{sum(op.kind == 'WHILE' for op in emitter.graph.ops)}"
    body, condition = Graph(name=f"{name}.body"), Graph(name=f"{name}.condition")
    body.inputs = [entry("int32", ()), *(entry(tensor.dtype, shape) for tensor, shape in states)]
    with inside(emitter, body):
        after = step(body.inputs[0], body.inputs[1:])
        following = emitter.emit("ADD", [body.inputs[0], np.array(1, np.int32)], "int32", ())
    body.outputs = [following, *after]
    read = close(body)
    entered = [emitter.tensor_of(np.array(0, np.int32)), *(tensor for tensor, _ in states), *read]
    if count.data is None and count not in entered:
        entered.append(count)
        body.inputs.append(entry("int32", ()))
    body.outputs += body.inputs[len(states) + 1 :]
    condition.inputs = [entry(tensor.dtype, tensor.shape) for tensor in body.inputs]
    with inside(emitter, condition):
        end = count if count.data is not None else condition.inputs[entered.index(count)]
        condition.outputs = [emitter.emit("LESS", [condition.inputs[0], end], "bool", ())]
    made = [entry(tensor.dtype, tensor.shape) for tensor in body.inputs]
    options = {"cond_subgraph_index": condition, "body_subgraph_index": body}
    emitter.graph.ops.append(Op("WHILE", list(entered), made, options))
    return made[1 : len(states) + 1]
