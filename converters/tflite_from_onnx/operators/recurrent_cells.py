"""One step of an LSTM, GRU or simple recurrent layer, in the fewest operators.

What the step takes from the input of the layer is projected for all steps at once, before the first: `parts`, each
`[rows, width]` here, biases added. A state that is None is zero, and what is multiplied by it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.operators.recurrent_activations import Activation
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_graph.model import Tensor


@dataclass(frozen=True, slots=True)
class Weights:
    """Rows of W, R and B for some gates, tensors of LiteRT's order. bias: Wb, with Rb where the step does not add it.

    inputs: `[gates * hidden, features]`, recurrent: `[gates * hidden, hidden]`, bias: `[gates * hidden]`.
    """

    inputs: Tensor
    recurrent: Tensor
    bias: Tensor | None


class Steps:
    """Makes operators on float32 tensors `[rows, width]`."""

    def __init__(self, low: Lowering, rows: Size, hidden: int, clip: float) -> None:
        self.low, self.rows, self.hidden, self.clip = low, rows, hidden, clip

    def emit(self, kind: str, *inputs: Tensor | np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None) -> Tensor:
        """An operator `[rows, hidden]`."""
        return self.low.emit(kind, inputs, "float32", (self.rows, self.hidden))

    def gate(self, part: Tensor, h: Tensor | None, weights: Weights, gates: int, more: Tensor | None = None) -> Tensor:
        """part + h R' + more, clipped: what goes into the activation of some gates."""
        shape = (self.rows, gates * self.hidden)
        if h is not None:
            product = self.low.emit("FULLY_CONNECTED", [h, weights.recurrent, None], "float32", shape)
            part = self.low.emit("ADD", [product, part], "float32", shape)
        if more is not None:
            part = self.low.emit("ADD", [part, more], "float32", shape)
        return self.clipped(part, gates)

    def clipped(self, tensor: Tensor, gates: int = 1) -> Tensor:
        """NaN stays: TFLite's MAXIMUM and MINIMUM keep that of their second operand."""
        if not self.clip:
            return tensor
        shape = (self.rows, gates * self.hidden)
        for kind, bound in (("MINIMUM", self.clip), ("MAXIMUM", -self.clip)):
            tensor = self.low.emit(kind, [np.array(bound, np.float32), tensor], "float32", shape)
        return tensor

    def apply(self, activation: Activation, tensor: Tensor, gates: int = 1) -> Tensor:
        return activation.emit(self.low, tensor, (self.rows, gates * self.hidden))

    def split(self, tensor: Tensor, gates: int) -> list[Tensor]:
        shape = (self.rows, self.hidden)
        axis = np.array(1, np.int32)
        return self.low.emit_many("SPLIT", [axis, tensor], [("float32", shape)] * gates, num_splits=gates)


class Cell(Protocol):
    """weights: a group for each part, that the gates of a part stand in one tensor. states: h, or h and c."""

    @property
    def weights(self) -> Sequence[Weights]: ...

    @property
    def states(self) -> int: ...

    def step(self, to: Steps, parts: Sequence[Tensor], states: Sequence[Tensor | None]) -> list[Tensor]: ...


@dataclass(frozen=True, slots=True)
class SimpleCell:
    """RNN-7 to RNN-22: h' = f(x W' + h R' + b)."""

    weights: tuple[Weights]
    f: Activation
    states: int = 1

    def step(self, to: Steps, parts: Sequence[Tensor], states: Sequence[Tensor | None]) -> list[Tensor]:
        return [to.apply(self.f, to.gate(parts[0], states[0], self.weights[0], 1))]


@dataclass(frozen=True, slots=True)
class GruCell:
    """GRU-7 to GRU-22: h' = (1 - z) n + z h, written n + z (h - n).

    weights: of the gates z and r, then of n. recurrent_bias: Rb of n `[hidden]` where the reset gate is applied behind
    the product (linear_before_reset), else None, being in the bias.
    """

    weights: tuple[Weights, Weights]
    f: Activation
    g: Activation
    linear_before_reset: bool
    recurrent_bias: Tensor | None = None
    states: int = 1

    def step(self, to: Steps, parts: Sequence[Tensor], states: Sequence[Tensor | None]) -> list[Tensor]:
        (h,) = states
        gates = to.apply(self.f, to.gate(parts[0], h, self.weights[0], 2), 2)
        z, r = to.split(gates, 2)
        n = to.apply(self.g, self._candidate(to, parts[1], h, r))
        if h is None:
            return [to.emit("SUB", n, to.emit("MUL", z, n))]
        return [to.emit("ADD", to.emit("MUL", z, to.emit("SUB", h, n)), n)]

    def _candidate(self, to: Steps, part: Tensor, h: Tensor | None, r: Tensor) -> Tensor:
        if not self.linear_before_reset:
            return to.gate(part, None if h is None else to.emit("MUL", r, h), self.weights[1], 1)
        product = self.recurrent_bias
        if h is not None:
            product = to.emit("FULLY_CONNECTED", h, self.weights[1].recurrent, self.recurrent_bias)
        if product is not None:
            part = to.emit("ADD", to.emit("MUL", r, product), part)
        return to.clipped(part)


@dataclass(frozen=True, slots=True)
class LstmCell:
    """LSTM-7 to LSTM-22: c' = f c + i g, h' = o act(c').

    weights: of the gates i, f and o, then of g: one activation serves three gates. peepholes: P of i and f in one
    `[2 * hidden]`, and of o `[hidden]`; the gate o looks at c', so that its weights are a third group then.
    """

    weights: tuple[Weights, ...]
    f: Activation
    g: Activation
    h: Activation
    peepholes: tuple[Tensor, Tensor] | None = None
    states: int = 2

    def step(self, to: Steps, parts: Sequence[Tensor], states: Sequence[Tensor | None]) -> list[Tensor]:
        h, c = states
        if self.peepholes is None:
            i, f, o = to.split(to.apply(self.f, to.gate(parts[0], h, self.weights[0], 3), 3), 3)
        else:
            i, f = to.split(to.apply(self.f, to.gate(parts[0], h, self.weights[0], 2, self._seen(to, c)), 2), 2)
        g = to.apply(self.g, to.gate(parts[1], h, self.weights[1], 1))
        now = to.emit("MUL", i, g)
        if c is not None:
            now = to.emit("ADD", to.emit("MUL", f, c), now)
        if self.peepholes is not None:
            seen = to.emit("MUL", now, self.peepholes[1])
            o = to.apply(self.f, to.gate(parts[2], h, self.weights[2], 1, seen))
        return [to.emit("MUL", o, to.apply(self.h, now)), now]

    def _seen(self, to: Steps, c: Tensor | None) -> Tensor | None:
        """What i and f see of the cell's state."""
        if c is None or self.peepholes is None:
            return None
        shape = (to.rows, 2 * to.hidden)
        both = to.low.emit("CONCATENATION", [c, c], "float32", shape, axis=1)
        return to.low.emit("MUL", [both, self.peepholes[0]], "float32", shape)
