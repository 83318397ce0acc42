"""A TFLite model in memory: tensors, operators, sub-graphs. Plain objects that passes may change in place.

The names are those of the TFLite schema (version 3, `schema.fbs`): an operator is a builtin (`CONV_2D`), its options
are the fields of its options table in snake case (`stride_w`), enumerations are given by name (`padding="SAME"`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Quantization:
    """real = scale * (code - zero_point). scale: float32 `[1]`, or `[C]` along `axis`; zero_point: int64 of its length."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        return self.scale.size > 1

    def same_as(self, other: Quantization | None) -> bool:
        return (
            other is not None
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
            and (not self.per_channel or self.axis == other.axis)
        )


@dataclass(eq=False, slots=True)
class Tensor:
    """One tensor. dtype: numpy name ("bool" included); shape: -1 is a size known only when it runs; data: a constant."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Array | None = None
    quantization: Quantization | None = None
    variable: bool = False


@dataclass(eq=False, slots=True)
class Op:
    """One operator. An input that is None is an optional one left out. A Graph among the options is a sub-graph."""

    kind: str
    inputs: list[Tensor | None]
    outputs: list[Tensor]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Tensor:
        return self.outputs[0]


@dataclass(eq=False, slots=True)
class Graph:
    """Operators in an order in which they can run."""

    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    name: str = "main"

    def consumers(self) -> Counter[Tensor]:
        """How often each tensor is read, being an output of the graph included."""
        counts = Counter(tensor for op in self.ops for tensor in op.inputs if tensor is not None)
        counts.update(self.outputs)
        return counts

    def producers(self) -> dict[Tensor, Op]:
        return {tensor: op for op in self.ops for tensor in op.outputs}

    def subgraphs(self) -> Iterator[Graph]:
        """The graphs that operators of this one refer to, in order, each before those it refers to itself."""
        for op in self.ops:
            for value in op.options.values():
                if isinstance(value, Graph):
                    yield value
                    yield from value.subgraphs()

    def tensors(self) -> list[Tensor]:
        """Every tensor once: inputs, then in the order of the operators, then outputs nothing makes."""
        seen = dict.fromkeys(self.inputs)
        for op in self.ops:
            seen.update(dict.fromkeys(tensor for tensor in op.inputs if tensor is not None))
            seen.update(dict.fromkeys(op.outputs))
        seen.update(dict.fromkeys(self.outputs))
        return list(seen)
