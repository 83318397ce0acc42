"""Make TFLite operators and tensors: the small typed layer under every lowered operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.tflite_from_onnx import moving, sizes
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Value, permuted
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


class Emitter:
    """Appends to a graph. Named sizes are -1 in the file, and are taken from a tensor's shape when it runs."""

    def __init__(self) -> None:
        self.graph = Graph()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Tensor] = {}
        #: named size -> (value, axis of it) that has it when the model runs
        self.sources: dict[str, tuple[Value, int]] = {}
        self._sizes: dict[Size, Tensor] = {}
        self._shapes: dict[Tensor, tuple[Size, ...]] = {}
        self._arrangements: dict[Tensor, moving.Arrangement] = {}
        self._moved: dict[tuple[object, ...], Tensor] = {}

    def tensor_of(self, array: Array, name: str = "") -> Tensor:
        """A constant as a tensor; equal small ones are one tensor."""
        kept = np.ascontiguousarray(array, dtype=held(array.dtype.name)).reshape(array.shape)
        if kept.nbytes > 1024:
            return Tensor(name or "constant", kept.dtype.name, kept.shape, kept)
        key = (kept.dtype.name, kept.shape, kept.tobytes())
        if key not in self._constants:
            self._constants[key] = Tensor(name or "constant", kept.dtype.name, kept.shape, kept)
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

    def transpose(self, tensor: Tensor, perm: Perm, shape: Sequence[Size]) -> Tensor:
        """Transpose a tensor of physical `shape`; only a reshape where nothing but sizes of 1 move.

        Behind other reshapes and transposes it starts where they started, if that is shorter.
        """
        if perm == tuple(range(len(perm))):
            return tensor
        return self._rearranged(self._arranged(tensor, shape).transposed(perm), permuted(shape, perm))

    def reshape(self, tensor: Tensor, shape: Sequence[Size]) -> Tensor:
        """The same elements in another shape."""
        shape = tuple(shape)
        before = self._shapes.get(tensor) or sizes.known([size if size >= 0 else "?" for size in tensor.shape])
        arranged = None if before is None else self._arranged(tensor, before).reshaped(shape)
        return self.copied(tensor, shape) if arranged is None else self._rearranged(arranged, shape)

    def _arranged(self, tensor: Tensor, shape: Sequence[Size]) -> moving.Arrangement:
        return self._arrangements.get(tensor) or moving.of(tensor, shape)

    def _rearranged(self, wanted: moving.Arrangement, shape: tuple[Size, ...]) -> Tensor:
        """The elements of the chain's beginning as `wanted` has them; what was made before is taken again."""
        key = (self.graph, wanted.root, wanted.runs())
        full = (*key, shape)
        if full in self._moved:
            return self._moved[full]
        source, perm = wanted.steps(shape)
        made = wanted.root
        if wanted.runs()[1] != tuple(range(len(wanted.runs()[1]))):
            made = self._moved.get(key) or self._turned(wanted.root, wanted.root_shape, source, perm)
            self._moved.setdefault(key, made)
        if (self._shapes.get(made) or wanted.root_shape) != shape:
            made = self.copied(made, shape)
        self._moved[full] = made
        if made is not wanted.root:
            self._arrangements[made] = wanted
        return made

    def _turned(self, root: Tensor, shape: Sequence[Size], source: Sequence[Size], perm: Perm) -> Tensor:
        tensor = root if tuple(source) == tuple(shape) else self.copied(root, source)
        return self.emit("TRANSPOSE", [tensor, np.array(perm, np.int32)], tensor.dtype, permuted(source, perm))

    def copied(self, tensor: Tensor, shape: Sequence[Size]) -> Tensor:
        """The same elements in another tensor, of another shape or of its own."""
        named = [size for size in shape if not isinstance(size, int)]
        if len(named) <= 1 and not (named and 0 in shape):
            target: Tensor = self.tensor_of(
                np.array([size if isinstance(size, int) else -1 for size in shape], np.int32)
            )
        else:
            target = self.shape_tensor(shape)
        options = {"new_shape": target.data} if target.data is not None else {}
        return self.emit("RESHAPE", [tensor, target], tensor.dtype, shape, **options)

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
        if size not in self._sizes:
            if size in self.sources:
                value, axis = self.sources[size]
                perm = value.layout
                tensor = self.tensor(value, perm)
                whole = self.emit("SHAPE", [tensor], "int32", (value.rank,), out_type="int32")
                place = np.array(perm.index(axis), np.int32)
                self._sizes[size] = self.emit("GATHER", [whole, place], "int32", (), axis=0)
            else:
                self._sizes[size] = self._computed(size)
        return self._sizes[size]

    def can_tell(self, size: Size) -> bool:
        """Whether a size is a number, or a product of sizes that some tensor has when the model runs."""
        return isinstance(size, int) or all(part.isdigit() or part in self.sources for part in size.split("*"))

    def _from_elements(self, value: Value) -> Tensor:
        assert value.elements is not None
        tensor = self.size_tensor(value.elements[0]) if value.rank == 0 else self.shape_tensor(value.elements)
        if value.dtype == "int32":
            return tensor
        return self.emit("CAST", [tensor], value.dtype, value.shape, in_data_type="int32", out_data_type=value.dtype)

    def _computed(self, size: str) -> Tensor:
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


def arranged(values: Sequence[Value], rank: int) -> Perm:
    """The layout in which an operator that works in any layout should run: that of its widest input that is no constant."""
    for value in values:
        if value.array is None and value.rank == rank:
            return value.layout
    return tuple(range(rank))


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
