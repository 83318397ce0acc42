"""Write TFLite operators and constants into a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor
from mlpack_edge.core.errors import Unsupported

Array = NDArray[Any]
#: A TFLite tensor, or a constant that becomes one.
Given = Tensor | Array | None

#: ONNX element type -> the one TFLite holds it in; TFLite has next to no kernels for the wide and the half floats.
HELD = {
    "float32": "float32", "float64": "float32", "float16": "float32", "bfloat16": "float32", "bool": "bool",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64", "uint8": "uint8",
}  # fmt: skip


def held(dtype: str) -> str:
    """The TFLite element type of an ONNX one. Raises Unsupported where there is none."""
    if dtype not in HELD:
        raise Unsupported(
            f"TFLite computes nothing with {dtype} tensors",
            "cast them in the model, or keep it as ONNX: mlpack convert --to onnx",
        )
    return HELD[dtype]


def narrowed(array: Array) -> Array:
    """A constant in the element type TFLite holds it in. What is finite stays so: a float64 mask of -1e308 is no -inf."""
    dtype = np.dtype(held(array.dtype.name))
    if array.dtype == np.float64:
        largest = np.finfo(dtype).max
        array = np.where(np.isfinite(array), np.clip(array, -largest, largest), array)
    return array.astype(dtype, copy=False)


class Writer:
    """Appends operators to a graph, and keeps the shapes of what they make."""

    def __init__(self) -> None:
        self.graph = Graph()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        self._shapes: dict[Tensor, tuple[Size, ...]] = {}

    def tensor_of(self, array: Array, name: str = "") -> Tensor:
        """A constant as a tensor; equal small ones are one tensor."""
        kept = np.ascontiguousarray(narrowed(array)).reshape(array.shape)
        if kept.nbytes > 1024:
            return Tensor(name, kept.dtype.name, kept.shape, kept)
        key = (kept.dtype.name, kept.shape, kept.tobytes())
        if key not in self._constants:
            self._constants[key] = Tensor(name, kept.dtype.name, kept.shape, kept)
        return self._constants[key]

    def emit(self, kind: str, inputs: Sequence[Given], dtype: str, shape: Sequence[Size], **options: Any) -> Tensor:
        """One operator with one output of physical `shape`; options are fields of its options table in snake case."""
        return self.emit_many(kind, inputs, [(dtype, shape)], **options)[0]

    def emit_many(
        self, kind: str, inputs: Sequence[Given], outputs: Sequence[tuple[str, Sequence[Size]]], **options: Any
    ) -> list[Tensor]:
        """One operator; outputs: (ONNX element type, physical shape) of each."""
        given = [self.tensor_of(item) if isinstance(item, np.ndarray) else item for item in inputs]
        made = [
            Tensor("", held(dtype), tuple(size if isinstance(size, int) else -1 for size in shape))
            for dtype, shape in outputs
        ]
        self.graph.ops.append(Op(kind, given, made, options))
        self._shapes.update((tensor, tuple(shape)) for tensor, (_, shape) in zip(made, outputs, strict=True))
        return made
