"""A recurrent layer in TFLite: its steps one behind the other, or as the body of a loop.

docs/decisions/0009-recurrent-layers-in-tflite.md says which is taken when, and why the fused operators are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.emitter import Given
from mlpack_edge.converters.tflite_from_onnx.loops import repeat
from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_cells import Cell, Steps
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, permuted
from mlpack_edge.converters.tflite_graph.model import Tensor

#: XNNPACK keeps a copy of the weights for each operator that uses them: of so many bytes together they stay in the
#: second cache of a processor, and are as quick as one copy.
MOST_COPIES = 1 << 20
#: A loop costs a microsecond or two for each round, which its steps share, and as much for each step of a round, once
#: a call: LiteRT plans the body anew. Weights that outgrow the cache by themselves are not read faster in shorter rounds.
LEAST_STEPS = 4
#: Each step adds a dozen operators to the file.
MOST_STEPS = 64
Array = NDArray[Any]
_F32 = "float32"
#: A sequence `[time, rows, width]` or `[rows, time, width]`, and its width.
Part = tuple[Tensor, int]


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a layer. initial: a tensor `[rows, hidden]` for each state, None where it is zero."""

    cell: Cell
    initial: tuple[Tensor | None, ...]
    reverse: bool


@dataclass(frozen=True, slots=True)
class Passed:
    """What a direction makes. steps: h of each step, in the layout of the layer; states: `[rows, hidden]` each, None
    where they are zero as before the first step."""

    steps: Tensor
    states: Sequence[Tensor | None]


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
        parts, each = self._projected(direction), self._each(direction.cell)
        if self.time == each:
            states, made = self._steps(direction, parts, direction.initial, [_int(n) for n in range(each)])
            passed = Passed(made, states)
        else:
            passed = self._looped(direction, parts, each)
        if direction.reverse and self.lengths is not None:
            return Passed(self._reversed(passed.steps, self.hidden), passed.states)
        return passed

    def _each(self, cell: Cell) -> int:
        """How many steps stand one behind the other in the file: all, or those of one round of a loop."""
        if isinstance(self.time, str):
            return 1  # steps that fill no round would need a loop that may have no round: XNNPACK goes wrong behind one
        copy = sum(4 * math.prod(weights.recurrent.shape) for weights in cell.weights)
        most = min(max(MOST_COPIES // copy, LEAST_STEPS), MOST_STEPS)
        if self.time <= MOST_COPIES // copy and self.time <= MOST_STEPS:
            return self.time
        time = self.time
        return min(range(1, min(most, time) + 1), key=lambda each: time // each + each + time % each)

    def _held(self, width: Size, time: Size | None = None) -> tuple[Size, ...]:
        """The physical shape of a sequence; time: of a part of it."""
        return permuted((self.time if time is None else time, self.rows, width), self.perm)

    def _projected(self, direction: Direction) -> list[Part]:
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
        self, direction: Direction, parts: Sequence[Tensor], states: Sequence[Tensor | None], step: Given
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

    def _steps(
        self, direction: Direction, parts: Sequence[Part], states: Sequence[Tensor | None], numbers: Sequence[Given]
    ) -> tuple[list[Tensor], Tensor]:
        """The states behind some steps, and h of each; numbers: which steps of the sequence they are."""
        count = len(numbers)
        cut = [
            self.low.emit_many("UNPACK", [part], [(_F32, (self.rows, width))] * count, num=count, axis=self.axis)
            for part, width in parts
        ]
        made: dict[int, Tensor] = {}
        for place in reversed(range(count)) if self._backwards(direction) else range(count):
            now = [part[place] for part in cut]
            states, made[place] = self._advanced(direction, now, states, numbers[place])
        shape = self._held(self.hidden, count)
        given = [made[place] for place in range(count)]
        after = [state for state in states if state is not None]
        return after, self.low.emit("PACK", given, _F32, shape, values_count=count, axis=self.axis)

    def _looped(self, direction: Direction, parts: Sequence[Part], each: int) -> Passed:
        """A loop of `each` steps a round; steps that are left over come behind the rounds, in time."""
        low, first = self.low, parts[0]
        # Each step writes its place of the output: what is there before is never seen.
        room = first[0] if first[1] == self.hidden else self._narrow(first[0], {})
        passed = Passed(room, list(direction.initial))
        if isinstance(self.time, int):
            count, rest = low.tensor_of(_int(self.time // each)), range(self.time // each * each, self.time)
        else:
            shape = low.emit("SHAPE", [first[0]], "int32", (3,), out_type="int32")
            count, rest = low.emit("GATHER", [shape, _int(self.axis)], "int32", (), axis=0), range(0)
        if rest and self._backwards(direction):
            passed = self._rest(direction, parts, passed, rest)
        passed = self._rounds(direction, parts, passed, each, count)
        if rest and not self._backwards(direction):
            passed = self._rest(direction, parts, passed, rest)
        return passed

    def _rounds(self, direction: Direction, parts: Sequence[Part], passed: Passed, each: int, count: Tensor) -> Passed:
        """`count` rounds of `each` steps from the beginning of time on; passed: what is there before."""
        low = self.low
        last = None
        if self._backwards(direction):
            last = low.emit("MUL", [low.emit("SUB", [count, _int(1)], "int32", ()), _int(each)], "int32", ())

        def body(number: Tensor, inner: list[Tensor]) -> list[Tensor]:
            start = low.emit("MUL", [number, _int(each)], "int32", ()) if each > 1 else number
            if last is not None:
                start = low.emit("SUB", [last, start], "int32", ())
            places = low.emit("ADD", [np.arange(each, dtype=np.int32), start], "int32", (each,))
            now = [
                (low.emit("GATHER", [part, places], _F32, self._held(width, each), axis=self.axis), width)
                for part, width in parts
            ]
            numbers: list[Given] = [start] * each
            if self.lengths is not None and each > 1:
                numbers = list(low.emit_many("UNPACK", [places], [("int32", ())] * each, num=each, axis=0))
            after, y = self._steps(direction, now, inner[1:], numbers)
            return [self._written(inner[0], y, start), *after]

        initial = [self._zeros(parts[0][0]) if state is None else state for state in passed.states]
        carried = [(passed.steps, self._held(self.hidden)), *((state, (self.rows, self.hidden)) for state in initial)]
        room, *after = repeat(low, count, carried, body)
        return Passed(room, after)

    def _rest(self, direction: Direction, parts: Sequence[Part], passed: Passed, steps: range) -> Passed:
        """Some steps one behind the other, into the place they have in the output."""
        places = np.array(steps, np.int32)
        now = [
            (self.low.emit("GATHER", [part, places], _F32, self._held(width, len(steps)), axis=self.axis), width)
            for part, width in parts
        ]
        after, y = self._steps(direction, now, passed.states, [_int(step) for step in steps])
        return Passed(self._written(passed.steps, y, self.low.tensor_of(_int(steps.start))), after)

    def _written(self, room: Tensor, steps: Tensor, begin: Tensor) -> Tensor:
        axis = np.array([int(axis == self.axis) for axis in range(3)], np.int32)
        start = self.low.emit("MUL", [axis, begin], "int32", (3,))
        return self.low.emit("DYNAMIC_UPDATE_SLICE", [room, steps, start], _F32, self._held(self.hidden))

    def _zeros(self, like: Tensor) -> Tensor:
        """A state of zeros; the number of rows may be open."""
        if isinstance(self.rows, int):
            return self.low.tensor_of(np.zeros((self.rows, self.hidden), np.float32))
        row = self.low.reshape(self._narrow(like, {self.axis: 1}), (self.rows, self.hidden))
        return self.to.emit("ZEROS_LIKE", row)

    def _narrow(self, sequence: Tensor, ends: dict[int, int]) -> Tensor:
        """The first `hidden` numbers of each step; ends: of other axes, counted from the end where they are negative."""
        ends = {2: self.hidden} | ends
        shape = tuple(max(ends.get(axis, 0), 0) or size for axis, size in enumerate(self._held(self.hidden)))
        stop = np.array([ends.get(axis, 0) for axis in range(3)], np.int32)
        masks = {"begin_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
        masks["end_mask"] = sum(1 << axis for axis in range(3) if axis not in ends)
        cut: list[Given] = [sequence, np.zeros(3, np.int32), stop, np.ones(3, np.int32)]
        return self.low.emit("STRIDED_SLICE", cut, _F32, shape, **masks)

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
        states = [state for one in passed if (state := one.states[place]) is not None]
        if len(states) == 1:
            return self.low.value(self.low.reshape(states[0], shape), Spec(dtype, shape))
        made = self.low.emit("PACK", states, _F32, shape, values_count=len(states), axis=0)
        return self.low.value(made, Spec(dtype, shape))


def _int(number: int) -> Array:
    return np.array(number, np.int32)
