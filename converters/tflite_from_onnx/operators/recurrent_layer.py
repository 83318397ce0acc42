"""A recurrent layer in TFLite: its steps one behind the other, or as the body of a loop.

Decision page 8 says which is taken when, and why the fused operators are not: docs/decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.loops import repeat
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_cells import Cell, Steps
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, permuted
from mlpack_edge.converters.tflite_graph.model import Tensor

#: More steps than these are a loop: a file grows by a dozen operators a step.
MOST_UNROLLED = 256
_F32 = "float32"


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a layer. initial: a tensor `[rows, hidden]` for each state, None where it is zero."""

    cell: Cell
    initial: tuple[Tensor | None, ...]
    reverse: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """What a direction makes. steps: h of each step, in the layout of the layer; states: `[rows, hidden]` each."""

    steps: Tensor
    states: list[Tensor]


class Layer:
    """Lowers the directions of a layer whose input is `x` `[time, rows, features]`; lengths: int32 `[rows]` or None.

    The input stays in the layout in which it is: time first or rows first.
    """

    def __init__(self, low: Lowering, x: Value, hidden: int, clip: float, lengths: Tensor | None) -> None:
        self.low, self.x, self.hidden, self.lengths = low, x, hidden, lengths
        self.time, self.rows = x.shape[0], x.shape[1]
        self.perm: Perm = (*(axis for axis in x.layout if axis != 2), 2)
        self.axis = self.perm.index(0)
        self.to = Steps(low, self.rows, hidden, clip)

    def run(self, direction: Direction) -> Passed:
        parts = self._projected(direction)
        unrolled = isinstance(self.time, int) and self.time <= MOST_UNROLLED
        passed = self._unrolled(direction, parts) if unrolled else self._looped(direction, parts)
        if direction.reverse and self.lengths is not None:
            return Passed(self._reversed(passed.steps, self.hidden), passed.states)
        return passed

    def _held(self, width: Size) -> tuple[Size, ...]:
        """The physical shape of a sequence."""
        return permuted((self.time, self.rows, width), self.perm)

    def _projected(self, direction: Direction) -> list[tuple[Tensor, int]]:
        """What each part of the cell takes from the input, all steps at once, with its width."""
        x = self.low.tensor(self.x, self.perm)
        made = []
        for weights in direction.cell.weights:
            width = weights.inputs.shape[0]
            given = [x, weights.inputs, weights.bias]
            part = self.low.emit("FULLY_CONNECTED", given, _F32, self._held(width), keep_num_dims=True)
            if direction.reverse and self.lengths is not None:
                part = self._reversed(part, width)
            made.append((part, width))
        return made

    def _reversed(self, sequence: Tensor, width: int) -> Tensor:
        """Each row's steps backwards as far as its length goes."""
        axes = {"seq_dim": self.axis, "batch_dim": 1 - self.axis}
        return self.low.emit("REVERSE_SEQUENCE", [sequence, self.lengths], _F32, self._held(width), **axes)

    def _backwards(self, direction: Direction) -> bool:
        """Whether the last step is the first; with lengths, the sequences themselves are turned."""
        return direction.reverse and self.lengths is None

    def _advanced(
        self, direction: Direction, parts: Sequence[Tensor], states: Sequence[Tensor | None], step: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """The states behind a step, and h as the output has it: rows that have ended keep theirs, and give 0."""
        after = direction.cell.step(self.to, parts, states)
        if self.lengths is None:
            return after, after[0]
        column = self.low.reshape(self.lengths, (self.rows, 1))
        runs = self.low.emit("GREATER", [column, step], "bool", (self.rows, 1))
        zero = self.low.tensor_of(np.zeros((1, 1), np.float32))
        kept = [
            self.to.emit("SELECT_V2", runs, new, zero if old is None else old)
            for new, old in zip(after, states, strict=True)
        ]
        return kept, self.to.emit("SELECT_V2", runs, after[0], zero)

    def _unrolled(self, direction: Direction, parts: Sequence[tuple[Tensor, int]]) -> Passed:
        assert isinstance(self.time, int)
        count = self.time
        cut = [
            self.low.emit_many("UNPACK", [part], [(_F32, (self.rows, width))] * count, num=count, axis=self.axis)
            for part, width in parts
        ]
        states: Sequence[Tensor | None] = direction.initial
        made: dict[int, Tensor] = {}
        for step in reversed(range(count)) if self._backwards(direction) else range(count):
            number = self.low.tensor_of(np.array(step, np.int32))
            states, made[step] = self._advanced(direction, [part[step] for part in cut], states, number)
        steps = self.low.emit(
            "PACK", [made[step] for step in range(count)], _F32, self._held(self.hidden),
            values_count=count, axis=self.axis,
        )  # fmt: skip
        return Passed(steps, [state for state in states if state is not None])

    def _looped(self, direction: Direction, parts: Sequence[tuple[Tensor, int]]) -> Passed:
        low = self.low
        first, width = parts[0]
        shape = low.emit("SHAPE", [first], "int32", (3,), out_type="int32")
        count = low.emit("GATHER", [shape, np.array(self.axis, np.int32)], "int32", (), axis=0)
        last = low.emit("SUB", [count, np.array(1, np.int32)], "int32", ()) if self._backwards(direction) else None
        place = np.array([int(axis == self.axis) for axis in range(3)], np.int32)
        held = self._held(self.hidden)

        def step(number: Tensor, states: list[Tensor]) -> list[Tensor]:
            if last is not None:
                number = low.emit("SUB", [last, number], "int32", ())
            now = [
                low.emit("GATHER", [part, number], _F32, (self.rows, width), axis=self.axis) for part, width in parts
            ]
            after, y = self._advanced(direction, now, states[1:], number)
            y = low.reshape(y, permuted((1, self.rows, self.hidden), self.perm))
            start = low.emit("MUL", [place, number], "int32", (3,))
            return [low.emit("DYNAMIC_UPDATE_SLICE", [states[0], y, start], _F32, held), *after]

        # Each step writes its place of the output: what is there before is never seen.
        room = first if width == self.hidden else self._narrow(first, {})
        initial = [self._zeros(first) if state is None else state for state in direction.initial]
        of_states = [(state, (self.rows, self.hidden)) for state in initial]
        steps, *states = repeat(low, count, [(room, held), *of_states], step)
        return Passed(steps, states)

    def _zeros(self, like: Tensor) -> Tensor:
        """A state of zeros; the number of rows may be open."""
        if isinstance(self.rows, int):
            return self.low.tensor_of(np.zeros((self.rows, self.hidden), np.float32))
        row = self.low.reshape(self._narrow(like, {self.axis: 1}), (self.rows, self.hidden))
        return self.to.emit("ZEROS_LIKE", row)

    def _narrow(self, sequence: Tensor, ends: dict[int, int]) -> Tensor:
        """The first `hidden` numbers of each step; ends: of other axes."""
        ends = {2: self.hidden} | ends
        shape = tuple(ends.get(axis, size) for axis, size in enumerate(self._held(self.hidden)))
        return self.low.emit(
            "STRIDED_SLICE",
            [
                sequence,
                np.zeros(3, np.int32),
                np.array([ends.get(axis, 0) for axis in range(3)], np.int32),
                np.ones(3, np.int32),
            ],
            _F32,
            shape,
            begin_mask=0,
            end_mask=sum(1 << axis for axis in range(3) if axis not in ends),
            ellipsis_mask=0,
            new_axis_mask=0,
            shrink_axis_mask=0,
        )

    def sequence(self, passed: Sequence[Passed], dtype: str) -> Value:
        """Y `[time, directions, rows, hidden]`; in memory the directions of a step and row are side by side."""
        count = len(passed)
        joined = passed[0].steps
        if count > 1:
            wide = self._held(count * self.hidden)
            joined = self.low.emit("CONCATENATION", [one.steps for one in passed], _F32, wide, axis=2)
        shape = (self.time, count, self.rows, self.hidden)
        perm = (*(0 if axis == 0 else 2 for axis in self.perm[:2]), 1, 3)
        return self.low.value(self.low.reshape(joined, permuted(shape, perm)), Spec(dtype, shape), perm)

    def final(self, passed: Sequence[Passed], place: int, dtype: str) -> Value:
        """Y_h (place 0) or Y_c (1): `[directions, rows, hidden]`."""
        shape = (len(passed), self.rows, self.hidden)
        states = [one.states[place] for one in passed]
        if len(states) == 1:
            return self.low.value(self.low.reshape(states[0], shape), Spec(dtype, shape))
        made = self.low.emit("PACK", states, _F32, shape, values_count=len(states), axis=0)
        return self.low.value(made, Spec(dtype, shape))
