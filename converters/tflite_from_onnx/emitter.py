"""Make TFLite operators and tensors: the small typed layer under every lowered operator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.chains import Chains
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Value, permuted
from mlpack_edge.converters.tflite_from_onnx.writing import HELD, Given, held
from mlpack_edge.converters.tflite_graph.model import Tensor
from mlpack_edge.core.errors import Unsupported

__all__ = ["HELD", "Emitter", "Given", "aligned", "arranged", "held"]

Array = NDArray[Any]

#: What a size that is not known counts for where work is weighed.
_SOME = 16


class Emitter(Chains):
    """Appends to a graph. Named sizes are -1 in the file, and are taken from a tensor's shape when it runs."""

    def __init__(self) -> None:
        super().__init__()
        #: named size -> (value, axis of it) that has it when the model runs
        self.sources: dict[str, tuple[Value, int]] = {}
        self.size_tensors: dict[Size, Tensor] = {}

    def tensor(self, value: Value, perm: Perm | None = None) -> Tensor:
        """The tensor that holds `value` in layout `perm` (ONNX's own by default), made where it is not there yet."""
        perm = value.plain if perm is None else perm
        if perm not in value.forms:
            if value.array is not None:
                value.forms[perm] = self.tensor_of(np.transpose(value.array, perm), value.name)
            elif not value.forms and value.elements is not None:
                value.forms[perm] = self._from_elements(value)
            elif not value.forms:
                raise Unsupported(
                    f"the value {value.name!r} has no tensor in TFLite",
                    "report it with the model: this is a defect of the lowering",
                )
            else:
                held_in = value.layout
                step = tuple(held_in.index(axis) for axis in perm)
                value.forms[perm] = self.transpose(value.forms[held_in], step, permuted(value.shape, held_in))
        return value.forms[perm]

    def shape_tensor(self, shape: Sequence[Size]) -> Tensor:
        """A shape as an int32 tensor `[rank]`, computed when the model runs where it has named sizes."""
        numbers = sizes.known(shape)
        if numbers is not None:
            return self.tensor_of(np.array(numbers, np.int32))
        parts: list[Given] = [
            np.array(size, np.int32) if isinstance(size, int) else self.size_tensor(size) for size in shape
        ]
        return self.emit("PACK", parts, "int32", (len(shape),), values_count=len(parts), axis=0)

    def size_tensor(self, size: Size) -> Tensor:
        """A size as an int32 tensor of rank 0. Raises Unsupported for a name that no tensor's shape has."""
        if isinstance(size, int):
            return self.tensor_of(np.array(size, np.int32))
        if size not in self.size_tensors:
            if size in self.sources:
                value, axis = self.sources[size]
                perm = value.layout
                tensor = self.tensor(value, perm)
                whole = self.emit("SHAPE", [tensor], "int32", (value.rank,), out_type="int32")
                place = np.array(perm.index(axis), np.int32)
                self.size_tensors[size] = self.emit("GATHER", [whole, place], "int32", (), axis=0)
            else:
                self.size_tensors[size] = self._computed(size)
        return self.size_tensors[size]

    def can_tell(self, size: Size) -> bool:
        """Whether a size is a number, or calculated from sizes that some tensor has when the model runs."""
        if isinstance(size, int) or size in self.sources:
            return True
        inner = sizes.terms(size)
        if inner is not None:
            return self.can_tell(inner[1]) and self.can_tell(inner[2])
        parts = size.split("*")
        return all(part.isdigit() or (part != size and self.can_tell(part)) for part in parts)

    def _from_elements(self, value: Value) -> Tensor:
        assert value.elements is not None
        tensor = self.size_tensor(value.elements[0]) if value.rank == 0 else self.shape_tensor(value.elements)
        if value.dtype == "int32":
            return tensor
        return self.emit("CAST", [tensor], value.dtype, value.shape, in_data_type="int32", out_data_type=value.dtype)

    def _computed(self, size: str) -> Tensor:
        inner = sizes.terms(size)
        if inner is not None and self.can_tell(size):
            operator, a, b = inner
            kind = {"+": "ADD", "-": "SUB", "//": "DIV"}[operator]  # DIV rounds a difference below 0 as ONNX does
            return self.emit(kind, [self.size_tensor(a), self.size_tensor(b)], "int32", ())
        factor, *rest = size.split("*")
        if not rest:
            raise Unsupported(
                f"the size {size} is known only when the model runs, and no input has it",
                "fix it with --shape NAME=...",
            )
        made = self.size_tensor(int(factor) if factor.isdigit() else factor)
        for name in rest:
            made = self.emit("MUL", [made, self.size_tensor(name)], "int32", ())
        return made


def arranged(emitter: Emitter, values: Sequence[Value], rank: int) -> Perm:
    """The layout in which an operator that works in any layout should run: that for which the fewest elements move.

    Of the values of `rank` that are no constants; between equals a layout other than ONNX's own, which a convolution made.
    """
    wide = [value for value in values if value.array is None and value.rank == rank and value.forms]
    plain = tuple(range(rank))
    layouts = list(dict.fromkeys(perm for value in wide for perm in value.forms)) or [plain]
    return min(layouts, key=lambda perm: (sum(_moving(emitter, value, perm) for value in wide), perm == plain))


def _moving(emitter: Emitter, value: Value, perm: Perm) -> int:
    """How many elements move to have `value` in layout `perm`; a named size counts as some number."""
    turns = min(
        emitter.turns(tensor, tuple(form.index(axis) for axis in perm), permuted(value.shape, form))
        for form, tensor in value.forms.items()
    )
    return turns * math.prod(size if isinstance(size, int) else _SOME for size in value.shape)


def aligned(emitter: Emitter, value: Value, perm: Perm) -> Tensor:
    """`value` for a broadcast with a value held in `perm`: axes are counted from the last, as numpy does.

    A lower rank is filled up with sizes of 1 in front, and those that stay in front are dropped again.
    """
    missing = len(perm) - value.rank
    if missing <= 0:
        return emitter.tensor(value, perm)
    if perm == tuple(range(len(perm))):
        return emitter.tensor(value)
    shape = (1,) * missing + value.shape
    if value.array is not None:
        array = np.transpose(value.array.reshape((1,) * missing + value.array.shape), perm)
        while array.ndim and array.shape[0] == 1:
            array = array[0]
        return emitter.tensor_of(array, value.name)
    return emitter.transpose(emitter.reshape(emitter.tensor(value), shape), perm, shape)
