"""Reshapes and transposes as they are asked for, written as few as they can be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import moving, sizes
from mlpack_edge.converters.tflite_from_onnx.sizes import Size
from mlpack_edge.converters.tflite_from_onnx.values import Perm, permuted
from mlpack_edge.converters.tflite_from_onnx.writing import Given, Writer
from mlpack_edge.converters.tflite_graph.model import Tensor

#: Operators that do the same to each element, whatever its place.
_ANYWHERE = frozenset({
    "ABS", "ADD", "DIV", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL",
    "NEG", "RELU", "RELU6", "RSQRT", "SQRT", "SQUARE", "SUB", "TANH",
})  # fmt: skip

#: Axes that one transpose puts into another order at most: XNNPACK has no more.
_MOST_TURNED = 6


@dataclass(frozen=True, slots=True)
class _Twin:
    """The same elements made another way: by an operator in front of a chain instead of behind it.

    saved: how many transposes fewer it takes to its root. What nobody reads in the end is dropped from the graph.
    """

    arranged: moving.Arrangement
    saved: int


class Chains(Writer, ABC):
    """A writer that takes the shortest way from the beginning of a chain of reshapes and transposes to its end."""

    def __init__(self) -> None:
        super().__init__()
        self._arrangements: dict[Tensor, moving.Arrangement] = {}
        self._twins: dict[Tensor, _Twin] = {}
        self._moved: dict[tuple[object, ...], Tensor] = {}

    @abstractmethod
    def shape_tensor(self, shape: Sequence[Size]) -> Tensor:
        """A shape as an int32 tensor `[rank]`."""

    @abstractmethod
    def can_tell(self, size: Size) -> bool:
        """Whether a size is known, or told by some tensor when the model runs."""

    def transpose(self, tensor: Tensor, perm: Perm, shape: Sequence[Size]) -> Tensor:
        """Transpose a tensor of physical `shape`; only a reshape where nothing but sizes of 1 move."""
        if perm == tuple(range(len(perm))):
            return tensor
        twin = self._twins.get(tensor)
        other = None if twin is None else twin.arranged.transposed(perm)
        if other is not None and len(other.runs()[1]) > _MOST_TURNED:
            other = None
        own = self._arranged(tensor, shape).transposed(perm)
        if len(own.runs()[1]) > _MOST_TURNED:  # too many for one step: begin anew where it stands
            own = moving.of(tensor, shape).transposed(perm)
        return self._nearest(own, twin, other, permuted(shape, perm))

    def turns(self, tensor: Tensor, perm: Perm, shape: Sequence[Size]) -> int:
        """How many transposes there are up to a tensor with its axes in the order `perm`; below 0 where it saves some."""
        own, twin = self._arranged(tensor, shape).transposed(perm).turns, self._twins.get(tensor)
        return own if twin is None else min(own, twin.arranged.transposed(perm).turns - twin.saved)

    def reshape(self, tensor: Tensor, shape: Sequence[Size]) -> Tensor:
        """The same elements in another shape."""
        shape = tuple(shape)
        before = self._shapes.get(tensor) or sizes.known([size if size >= 0 else "?" for size in tensor.shape])
        own = None if before is None else self._arranged(tensor, before).reshaped(shape)
        if own is None:
            return self.copied(tensor, shape)
        twin = self._twins.get(tensor)
        return self._nearest(own, twin, None if twin is None else twin.arranged.reshaped(shape), shape)

    def copied(self, tensor: Tensor, shape: Sequence[Size]) -> Tensor:
        """The same elements in another tensor, of another shape or of its own."""
        named = [size for size in shape if not isinstance(size, int)]
        if len(named) <= 1 and not (named and 0 in shape):
            target: Tensor = self.tensor_of(
                np.array([size if isinstance(size, int) else -1 for size in shape], np.int32)
            )
        else:
            untold = [place for place, size in enumerate(shape) if not self.can_tell(size)]
            rest = untold[0] if len(untold) == 1 and 0 not in shape else None  # the kernel tells it from the others
            target = self.shape_tensor([-1 if place == rest else size for place, size in enumerate(shape)])
        options = {"new_shape": target.data} if target.data is not None else {}
        return self.emit("RESHAPE", [tensor, target], tensor.dtype, shape, **options)

    def emit_many(
        self, kind: str, inputs: Sequence[Given], outputs: Sequence[tuple[str, Sequence[Size]]], **options: Any
    ) -> list[Tensor]:
        made = super().emit_many(kind, inputs, outputs, **options)
        if kind in _ANYWHERE:
            self._in_front(kind, inputs, made[0], options)
        elif kind == "FULLY_CONNECTED":
            self._rows_in_front(inputs, made[0], options)
        return made

    def _in_front(self, kind: str, inputs: Sequence[Given], made: Tensor, options: dict[str, Any]) -> None:
        """Twin of an operator on one tensor (and single numbers): at the beginning of that tensor's chain."""
        given: list[Given] = []
        base: _Twin | None = None
        for item in inputs:
            array = item.data if isinstance(item, Tensor) else item
            if array is not None:
                if array.size != 1:
                    return
                given.append(array.reshape(()))
            elif not isinstance(item, Tensor) or base is not None or item.quantization is not None:
                return
            else:
                base = self._source(item)
                if base is None or self._shapes.get(item) != self._shapes[made]:
                    return
                given.append(base.arranged.root)
        if base is None:
            return
        root = super().emit_many(kind, given, [(made.dtype, base.arranged.root_shape)], **options)[0]
        self._twins[made] = _Twin(base.arranged.of(root, base.arranged.root_shape), base.saved)

    def _rows_in_front(self, inputs: Sequence[Given], made: Tensor, options: dict[str, Any]) -> None:
        """Twin of a matrix product: its rows in the order in which the chain had them at its beginning."""
        tensor = inputs[0]
        assert isinstance(tensor, Tensor)
        base = self._source(tensor)
        if base is None or tensor.quantization is not None:
            return
        *leading, last = base.arranged.axes
        atoms = sorted(atom for axis in leading for atom in axis)
        if len(atoms) > 4 or atoms == [atom for axis in leading for atom in axis]:
            return  # too many dimensions for the kernel, or already in that order
        rows = tuple(base.arranged.atoms[atom] for atom in atoms)
        wanted = moving.Arrangement(
            base.arranged.root, base.arranged.root_shape, base.arranged.atoms, (*((atom,) for atom in atoms), last)
        )
        source = self._rearranged(wanted, (*rows, self._shapes[tensor][-1]))
        shape = (*rows, self._shapes[made][-1])
        turned = {**options, "keep_num_dims": True}
        root = super().emit_many("FULLY_CONNECTED", [source, *inputs[1:]], [(made.dtype, shape)], **turned)[0]
        places = tuple(tuple(atoms.index(atom) for atom in axis) for axis in leading)
        own = moving.of(root, shape)
        arranged = moving.Arrangement(root, shape, own.atoms, (*places, own.axes[-1]))
        saved = base.saved - wanted.turns
        if saved >= 0:
            self._twins[made] = _Twin(arranged, saved)

    def _source(self, tensor: Tensor) -> _Twin | None:
        """Where else the elements of `tensor` may be taken from, if that saves a transpose."""
        own, twin = self._arrangements.get(tensor), self._twins.get(tensor)
        turns = 0 if own is None else own.turns
        if twin is not None:
            return _Twin(twin.arranged, twin.saved + turns)
        return _Twin(own, turns) if own is not None and turns else None

    def _nearest(
        self, own: moving.Arrangement, twin: _Twin | None, other: moving.Arrangement | None, shape: tuple[Size, ...]
    ) -> Tensor:
        if twin is None or other is None:
            return self._rearranged(own, shape)
        if other.turns - twin.saved < own.turns:
            return self._rearranged(other, shape)
        made = self._rearranged(own, shape)
        self._twins.setdefault(made, _Twin(other, twin.saved))
        return made

    def _arranged(self, tensor: Tensor, shape: Sequence[Size]) -> moving.Arrangement:
        return self._arrangements.get(tensor) or moving.of(tensor, shape)

    def _rearranged(self, wanted: moving.Arrangement, shape: tuple[Size, ...]) -> Tensor:
        """The elements of the chain's beginning as `wanted` has them; what was made before is taken again."""
        key = (self.graph, wanted.root, wanted.runs())
        full = (*key, shape)
        if full in self._moved:
            return self._moved[full]
        made = wanted.root
        if wanted.turns:
            made = self._moved.get(key) or self._turned(wanted, shape)
            self._moved.setdefault(key, made)
        if (self._shapes.get(made) or wanted.root_shape) != shape:
            made = self.copied(made, shape)
        self._moved[full] = made
        if made is not wanted.root:
            self._arrangements[made] = wanted
        return made

    def _turned(self, wanted: moving.Arrangement, shape: tuple[Size, ...]) -> Tensor:
        source, perm = wanted.steps(shape)
        tensor = wanted.root if source == wanted.root_shape else self.copied(wanted.root, source)
        return self.emit("TRANSPOSE", [tensor, np.array(perm, np.int32)], tensor.dtype, permuted(source, perm))
