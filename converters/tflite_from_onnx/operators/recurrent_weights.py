"""The inputs of a recurrent node, direction by direction: gates in the order that suits TFLite, states, lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_cells import Weights
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant
from mlpack_edge.converters.tflite_graph.model import Graph, Tensor

Array = NDArray[Any]
#: What makes nothing but zeros where its inputs at these places hold nothing else.
_SPREADING: dict[str, tuple[int, ...]] = {
    "BROADCAST_TO": (0,), "TILE": (0,), "RESHAPE": (0,), "EXPAND_DIMS": (0,), "SQUEEZE": (0,), "TRANSPOSE": (0,),
    "STRIDED_SLICE": (0,), "SLICE": (0,), "PAD": (0,), "GATHER": (0,), "FILL": (1,), "SELECT_V2": (1, 2),
    "ZEROS_LIKE": (),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """The inputs W, R and B of a node. hidden: the width of the state; directions: 1 or 2; gates: rows / hidden."""

    node: Node
    hidden: int
    directions: int
    gates: int

    def weights(self, direction: int, gates: Sequence[int], *, recurrent_bias: bool = True) -> Weights:
        """The rows of some gates, by their place in ONNX's order. recurrent_bias: add Rb to the bias."""
        low, node = self.node.low, self.node
        w, r = (self._rows(node.input(place), direction, gates) for place in (1, 2))
        bias = None
        if node.optional(3) is not None:
            bias = self.bias(direction, gates)
            if recurrent_bias:
                bias = low.op("Add", bias, self.bias(direction, [self.gates + gate for gate in gates]))
        return Weights(low.tensor(w), low.tensor(r), None if bias is None else low.tensor(bias))

    def bias(self, direction: int, gates: Sequence[int]) -> Value:
        """Wb of some gates; Rb where the places are counted on."""
        return self._rows(self.node.input(3), direction, gates)

    def _rows(self, value: Value, direction: int, gates: Sequence[int]) -> Value:
        bounds = [(gate * self.hidden, (gate + 1) * self.hidden) for gate in gates]
        if value.array is not None:
            rows = np.concatenate([value.array[direction, start:end] for start, end in bounds])
            return constant(value.name, rows.astype(np.float32))
        low = self.node.low
        one = at(self.node, value, direction)
        parts = [low.op("Slice", one, _ints(start), _ints(end), _ints(0)) for start, end in bounds]
        return parts[0] if len(parts) == 1 else low.op("Concat", *parts, axis=0)

    def peepholes(self, direction: int) -> tuple[Tensor, Tensor] | None:
        """P of i and f, and of o; ONNX's order is i, o, f. None where there are none, or all are zero."""
        value = self.node.optional(7)
        if value is None or (value.array is not None and not value.array.any()):
            return None
        low = self.node.low
        return low.tensor(self._rows(value, direction, (0, 2))), low.tensor(self._rows(value, direction, (1,)))

    def state(self, place: int, direction: int, *, batch_first: bool) -> Tensor | None:
        """The initial state `[rows, hidden]` of a direction; None where it is zero."""
        value = self.node.optional(place)
        if value is None or is_zero(self.node.low.graph, value):
            return None
        low = self.node.low
        value = low.op("Transpose", value, perm=[1, 0, 2]) if batch_first else value
        return low.tensor(at(self.node, value, direction))


def given(node: Node, gates: int) -> Given:
    """Raises Unsupported for shapes that are none of the operator's."""
    w, r = node.input(1), node.input(2)
    rows, hidden = (r.shape[1], r.shape[2]) if r.rank == 3 else (None, None)
    directions = 2 if node.attr("direction", "forward") == "bidirectional" else 1
    if not isinstance(hidden, int) or rows != gates * hidden or w.shape[:2] != r.shape[:2] or w.rank != 3:
        raise node.refuse(f"its weights are {list(w.shape)} and {list(r.shape)}, which do not go together")
    if r.shape[0] != directions:
        raise node.refuse(f"its weights are for {r.shape[0]} directions, and it has {directions}")
    if int(node.attr("hidden_size", hidden)) != hidden:
        raise node.refuse(f"its hidden_size is {node.attr('hidden_size')}, and its weights are for {hidden}")
    return Given(node, hidden, directions, gates)


def at(node: Node, value: Value, direction: int) -> Value:
    """The part of one direction, the first axis gone."""
    low = node.low
    if value.shape[0] != 1:
        value = low.op("Slice", value, _ints(direction), _ints(direction + 1), _ints(0))
    return low.op("Squeeze", value, _ints(0))


def lengths(node: Node, *, batch_first: bool) -> Tensor | None:
    """sequence_lens as an int32 tensor `[rows]`; None where every row has all steps."""
    value = node.optional(4)
    if value is None:
        return None
    time, rows = node.input(0).shape[:2][:: -1 if batch_first else 1]
    if value.array is None:
        return node.low.tensor(value)
    if isinstance(time, int) and (value.array == time).all():
        return None
    if not isinstance(rows, int):
        raise node.refuse(
            f"its sequence_lens are fixed for {value.array.size} rows, and the number of rows is open",
            f"fix it with --shape {rows}={value.array.size}, or make the lengths an input of the model",
        )
    if isinstance(time, int) and not ((value.array >= 0) & (value.array <= time)).all():
        raise node.refuse(f"its sequence_lens {value.array.tolist()} do not lie within its {time} steps")
    return node.low.tensor(value)


def is_zero(graph: Graph, value: Value) -> bool:
    """Whether each element is known to be 0: a constant, or one that operators of `graph` only spread."""
    if value.array is not None:
        return not value.array.any()
    if not value.forms:
        return False
    makers = graph.producers()

    def zero(tensor: Tensor | None) -> bool:
        if tensor is None or tensor.data is not None:
            return tensor is not None and tensor.data is not None and not tensor.data.any()
        op = makers.get(tensor)
        return op is not None and op.kind in _SPREADING and all(zero(op.inputs[place]) for place in _SPREADING[op.kind])

    return zero(next(iter(value.forms.values())))


def _ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)
