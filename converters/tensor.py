"""Arithmetic on tensors of a graph in the notation of numpy, so that a converter reads like the formula it mirrors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from onnx import TensorProto, helper

from mlpack_edge.converters.onnx_graph import ONNX_TYPE, Array, Graph, Value


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of known dtype and rank. Operators broadcast as numpy does; both sides must have one dtype.

    A number on one side becomes a constant of the tensor's dtype and rank: a scalar beside a MatMul is fused into it
    by ONNX Runtime (MatMulScaleFusion), which rounds it to float32 even where all the rest is float64.
    """

    graph: Graph
    name: str
    dtype: str
    rank: int = 2
    #: Arrays leave operators with a tensor to the tensor.
    __array_ufunc__: ClassVar[None] = None

    def _made(self, op: str, *inputs: str, dtype: str = "", rank: int = -1, **attributes: Any) -> Tensor:
        name = self.graph.op(op, *inputs, **attributes)
        return Tensor(self.graph, name, dtype or self.dtype, self.rank if rank < 0 else rank)

    def _with(self, op: str, left: Tensor | Array | float, right: Tensor | Array | float, dtype: str = "") -> Tensor:
        sides = [self._operand(side) for side in (left, right)]
        rank = max(side.rank for side in sides)
        return self._made(op, sides[0].name, sides[1].name, dtype=dtype, rank=rank)

    def _operand(self, side: Tensor | Array | float) -> Tensor:
        if isinstance(side, Tensor):
            return side
        array = np.asarray(side)
        if array.ndim == 0:
            array = array.reshape((1,) * max(self.rank, 1))
        return Tensor(self.graph, self.graph.const(array, self.dtype), self.dtype, array.ndim)

    def __add__(self, other: Tensor | Array | float) -> Tensor:
        return self._with("Add", self, other)

    def __radd__(self, other: Array | float) -> Tensor:
        return self._with("Add", other, self)

    def __sub__(self, other: Tensor | Array | float) -> Tensor:
        return self._with("Sub", self, other)

    def __rsub__(self, other: Array | float) -> Tensor:
        return self._with("Sub", other, self)

    def __mul__(self, other: Tensor | Array | float) -> Tensor:
        return self._with("Mul", self, other)

    def __rmul__(self, other: Array | float) -> Tensor:
        return self._with("Mul", other, self)

    def __truediv__(self, other: Tensor | Array | float) -> Tensor:
        return self._with("Div", self, other)

    def __rtruediv__(self, other: Array | float) -> Tensor:
        return self._with("Div", other, self)

    def __pow__(self, other: float) -> Tensor:
        return self * self if other == 2 else self._with("Pow", self, other)

    def __neg__(self) -> Tensor:
        return self._made("Neg", self.name)

    def __matmul__(self, other: Tensor | Array) -> Tensor:
        return self._with("MatMul", self, other)

    def __gt__(self, other: Tensor | float) -> Tensor:
        return self._with("Greater", self, other, "bool")

    def __ge__(self, other: Tensor | float) -> Tensor:
        return self._with("GreaterOrEqual", self, other, "bool")

    def __lt__(self, other: Tensor | float) -> Tensor:
        return self._with("Less", self, other, "bool")

    def __le__(self, other: Tensor | float) -> Tensor:
        return self._with("LessOrEqual", self, other, "bool")

    def __and__(self, other: Tensor) -> Tensor:
        return self._with("And", self, other, "bool")

    def __or__(self, other: Tensor) -> Tensor:
        return self._with("Or", self, other, "bool")

    def __invert__(self) -> Tensor:
        return self._made("Not", self.name)

    def equals(self, other: Tensor | Array | float) -> Tensor:
        """Where the two are equal, bool."""
        return self._with("Equal", self, other, "bool")

    def least(self, other: Tensor | Array | float) -> Tensor:
        """The smaller of the two, element by element."""
        return self._with("Min", self, other)

    def most(self, other: Tensor | Array | float) -> Tensor:
        """The larger of the two, element by element."""
        return self._with("Max", self, other)

    def exp(self) -> Tensor:
        return self._made("Exp", self.name)

    def log(self) -> Tensor:
        return self._made("Log", self.name)

    def sqrt(self) -> Tensor:
        return self._made("Sqrt", self.name)

    def tanh(self) -> Tensor:
        return self._made("Tanh", self.name)

    def abs(self) -> Tensor:
        return self._made("Abs", self.name)

    def is_nan(self) -> Tensor:
        return self._made("IsNaN", self.name, dtype="bool")

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x)), in a form that never overflows to NaN (scipy.special.expit)."""
        return 1.0 / ((-self).exp() + 1.0)

    def clip(self, low: float, high: float) -> Tensor:
        return self.most(low).least(high)

    def where(self, yes: Tensor | Array | float, no: Tensor | Array | float, dtype: str = "float64") -> Tensor:
        """`yes` where this bool tensor holds, else `no`; numbers among them become `dtype`."""
        like = next((side for side in (yes, no) if isinstance(side, Tensor)), None)
        shaped = like or Tensor(self.graph, self.name, dtype, self.rank)
        left, right = shaped._operand(yes), shaped._operand(no)
        rank = max(self.rank, left.rank, right.rank)
        return shaped._made("Where", self.name, left.name, right.name, rank=rank)

    def _reduced(self, op: str, axis: int, keep: bool) -> Tensor:
        axes = self.graph.const(np.array([axis], np.int64))
        return self._made(op, self.name, axes, keepdims=int(keep), rank=self.rank if keep else self.rank - 1)

    def sum(self, axis: int = 1, keep: bool = True) -> Tensor:
        return self._reduced("ReduceSum", axis, keep)

    def max(self, axis: int = 1, keep: bool = True) -> Tensor:
        return self._reduced("ReduceMax", axis, keep)

    def min(self, axis: int = 1, keep: bool = True) -> Tensor:
        return self._reduced("ReduceMin", axis, keep)

    def argmax(self, axis: int = 1) -> Tensor:
        """The first place of the largest, int64, without the axis."""
        return self._made("ArgMax", self.name, axis=axis, keepdims=0, dtype="int64", rank=self.rank - 1)

    def argmin(self, axis: int = 1) -> Tensor:
        """The first place of the smallest, int64, without the axis."""
        return self._made("ArgMin", self.name, axis=axis, keepdims=0, dtype="int64", rank=self.rank - 1)

    def softmax(self) -> Tensor:
        """exp(x - max) / sum along the last axis."""
        powers = (self - self.max(axis=self.rank - 1)).exp()
        return powers / powers.sum(axis=self.rank - 1)

    def logsumexp(self) -> Tensor:
        """log(sum(exp(x))) along axis 1, kept."""
        top = self.max()
        return (self - top).exp().sum().log() + top

    def cast(self, dtype: str) -> Tensor:
        if dtype == self.dtype:
            return self
        return self._made("Cast", self.name, to=ONNX_TYPE[dtype], dtype=dtype)

    def rounded(self, dtype: str) -> Tensor:
        """The nearest numbers of a narrower dtype, still in this dtype."""
        return self if dtype == self.dtype else self.cast(dtype).cast(self.dtype)

    def reshape(self, *sizes: int) -> Tensor:
        """Sizes as ONNX Reshape takes them: -1 is what remains, 0 keeps the size of that axis."""
        shape = self.graph.const(np.array(sizes, np.int64))
        return self._made("Reshape", self.name, shape, rank=len(sizes))

    def columns(self, start: int, stop: int) -> Tensor:
        """Columns start to stop of axis 1."""
        bounds = [self.graph.const(np.array([number], np.int64)) for number in (start, stop, 1)]
        return self._made("Slice", self.name, *bounds)

    def take(self, indices: Sequence[int] | Array, axis: int = 1) -> Tensor:
        """The given places along an axis."""
        return self._made("Gather", self.name, self.graph.const(np.asarray(indices, np.int64)), axis=axis)

    def transposed(self, *order: int) -> Tensor:
        return self._made("Transpose", self.name, perm=list(order))

    def vector(self) -> Tensor:
        """`[batch, 1]` as `[batch]`."""
        return self.reshape(-1) if self.rank != 1 else self

    def column(self) -> Tensor:
        """`[batch]` as `[batch, 1]`."""
        return self.reshape(-1, 1) if self.rank == 1 else self

    def value(self, width: int | None = None) -> Value:
        """As a Value: `[batch, width]`, or `[batch]` where this is a vector."""
        return Value(self.name, self.dtype, None if self.rank == 1 else width)


def tensor(graph: Graph, value: Value, dtype: str = "") -> Tensor:
    """A Value as a Tensor, cast to `dtype` where given."""
    cast = graph.cast(value, dtype or value.dtype)
    return Tensor(graph, cast.name, cast.dtype, 1 if cast.width is None else 2)


def beside(parts: Sequence[Tensor], axis: int = 1) -> Tensor:
    """Tensors of one dtype side by side; vectors become columns where `axis` is 1."""
    whole = [part.column() for part in parts] if axis == 1 else list(parts)
    if len(whole) == 1:
        return whole[0]
    return whole[0]._made("Concat", *(part.name for part in whole), axis=axis)


def taken(graph: Graph, table: Array, indices: Tensor) -> Tensor:
    """Rows of a constant table at int64 indices."""
    array = np.asarray(table)
    dtype = "string" if array.dtype.kind in "OUS" else str(array.dtype)
    name = graph.op("Gather", graph.const(array, "string" if dtype == "string" else None), indices.name, axis=0)
    return Tensor(graph, name, dtype, indices.rank + array.ndim - 1)


def loop(graph: Graph, trips: int, state: Tensor, step: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """Apply `step` at most `trips` times (ONNX Loop). It gives the next state and a bool `[1]` whether to go on."""
    outer, graph.nodes = graph.nodes, []
    names = [graph.fresh(stem) for stem in ("round", "going", "state")]
    following, going = step(Tensor(graph, names[2], state.dtype, state.rank))
    flag = going.reshape(1)._made("Squeeze", going.reshape(1).name, rank=0)
    inner, graph.nodes = graph.nodes, outer
    kind = ONNX_TYPE[state.dtype]
    body = helper.make_graph(
        inner,
        graph.fresh("loop"),
        [
            helper.make_tensor_value_info(names[0], TensorProto.INT64, []),
            helper.make_tensor_value_info(names[1], TensorProto.BOOL, []),
            helper.make_tensor_value_info(names[2], kind, None),
        ],
        [
            helper.make_tensor_value_info(flag.name, TensorProto.BOOL, []),
            helper.make_tensor_value_info(following.name, kind, None),
        ],
    )
    # Graph.const makes vectors of scalars; the two that steer a Loop must be scalars.
    most, start = (graph.op("Squeeze", graph.const(np.array([number]))) for number in (trips, True))
    return state._made("Loop", most, start, state.name, body=body)


def const(graph: Graph, array: Array | Sequence[Any] | float, dtype: str = "") -> Tensor:
    """A constant as a tensor."""
    made = np.asarray(array) if not dtype else np.asarray(array).astype(dtype)
    return Tensor(graph, graph.const(made), str(made.dtype), made.ndim)
