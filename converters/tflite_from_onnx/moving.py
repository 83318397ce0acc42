"""Chains of reshapes and transposes, known by what they do together: the shortest way from their beginning is taken.

Attention splits, swaps and joins axes, as exporters write it in six steps that are one transpose. A tensor is
described by the axes of the tensor at the beginning of its chain, split as finely as any step needs: its atoms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product, quotient
from mlpack_edge.converters.tflite_from_onnx.values import Perm, permuted
from mlpack_edge.converters.tflite_graph.model import Tensor


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the elements of `root` lie in another tensor.

    atoms: the sizes of root's atoms in root's order. axes: the atoms of each axis of the tensor, first the one that
    moves slowest; an axis of size 1 has none.
    """

    root: Tensor
    root_shape: tuple[Size, ...]
    atoms: tuple[Size, ...]
    axes: tuple[tuple[int, ...], ...]

    def transposed(self, perm: Perm) -> Arrangement:
        return Arrangement(self.root, self.root_shape, self.atoms, tuple(self.axes[axis] for axis in perm))

    def reshaped(self, shape: Sequence[Size]) -> Arrangement | None:
        """The same memory seen as another shape; None where the sizes do not tell how."""
        atoms: dict[int, tuple[Size, ...]] = {
            place: (size,) for place, size in enumerate(self.atoms)
        }  # each as it comes to be split
        waiting = [(place, 0, size) for axis in self.axes for place in axis for size in (self.atoms[place],)]
        taken: list[list[tuple[int, int]]] = []
        for size in shape:
            left, parts = size, list[tuple[int, int]]()
            while left != 1:
                if not waiting or left == 0:
                    return None
                place, part, here = waiting.pop(0)
                rest = quotient(left, here)
                if rest is not None:
                    parts.append((place, part))
                    left = rest
                    continue
                behind = quotient(here, left)
                if behind is None:
                    return None
                atoms[place] = (*atoms[place][:-1], left, behind)
                parts.append((place, part))
                waiting.insert(0, (place, part + 1, behind))
                left = 1
            taken.append(parts)
        if waiting:
            return None
        number: dict[tuple[int, int], int] = {}
        for place, parts_of in atoms.items():
            for part in range(len(parts_of)):
                number[(place, part)] = len(number)
        sizes = tuple(size for parts_of in atoms.values() for size in parts_of)
        axes = tuple(tuple(number[item] for item in parts) for parts in taken)
        return Arrangement(self.root, self.root_shape, sizes, axes)

    def of(self, root: Tensor, root_shape: tuple[Size, ...]) -> Arrangement:
        """The same order of the elements of another root of the same shape."""
        return Arrangement(root, root_shape, self.atoms, self.axes)

    @property
    def turns(self) -> int:
        """How many transposes it takes from root: one or none."""
        order = self.runs()[1]
        return int(order != tuple(range(len(order))))

    def runs(self) -> tuple[tuple[Size, ...], Perm]:
        """The coarsest shape of root, and the order of its axes, that put the elements where they lie."""
        order = [atom for axis in self.axes for atom in axis]
        starts = [atom for i, atom in enumerate(order) if i == 0 or order[i - 1] != atom - 1]
        bounds = [*sorted(starts), len(self.atoms)]
        shape = tuple(product(self.atoms[a:b]) for a, b in pairwise(bounds))
        return shape, tuple(bounds.index(start) for start in starts)

    def steps(self, shape: Sequence[Size]) -> tuple[tuple[Size, ...], Perm]:
        """(shape, order) of a transpose that needs the fewest reshapes around it on the way to `shape`."""
        plain = self.runs()
        found = [plain]
        own = self._root_axes()
        if own is not None:
            found.append((self.root_shape, own))
        aimed = self._own_axes(shape)
        if aimed is not None:
            found.append(aimed)

        def cost(step: tuple[tuple[Size, ...], Perm]) -> tuple[int, int]:
            source, order = step
            return (source != self.root_shape) + (permuted(source, order) != tuple(shape)), len(order)

        return min(found, key=cost)

    def _root_axes(self) -> Perm | None:
        """The order of root's own axes, where no step splits one; sizes of 1 go where the tensor has some."""
        atom, spans = 0, []
        for size in self.root_shape:
            first, left = atom, size
            while left != 1:
                rest = quotient(left, self.atoms[atom])
                if rest is None:
                    return None
                left, atom = rest, atom + 1
            spans.append(tuple(range(first, atom)))
        return _order_of(spans, self.axes)

    def _own_axes(self, shape: Sequence[Size]) -> tuple[tuple[Size, ...], Perm] | None:
        """root seen with the tensor's own axes, where none of them joins what lies apart in root."""
        if any(axis != tuple(range(axis[0], axis[0] + len(axis))) for axis in self.axes if axis):
            return None
        places = sorted(range(len(self.axes)), key=lambda place: self.axes[place] or (-1,))
        order = [0] * len(places)
        for at, place in enumerate(places):
            order[place] = at
        return tuple(shape[place] for place in places), tuple(order)


def of(root: Tensor, shape: Iterable[Size]) -> Arrangement:
    """A tensor as the beginning of a chain."""
    sizes = tuple(shape)
    wide = [size for size in sizes if size != 1]
    numbers = iter(range(len(wide)))
    return Arrangement(root, sizes, tuple(wide), tuple(() if size == 1 else (next(numbers),) for size in sizes))


def _order_of(spans: Sequence[tuple[int, ...]], axes: Sequence[tuple[int, ...]]) -> Perm | None:
    """The order in which whole `spans` follow each other in `axes`; None where one of them is torn apart."""
    flat = [atom for axis in axes for atom in axis]
    ones = [place for place, span in enumerate(spans) if not span]
    starts = {span[0]: place for place, span in enumerate(spans) if span}
    order: list[int] = []
    if len(ones) == sum(not axis for axis in axes):
        waiting = iter(ones)
        fronts: list[int] = []
    else:
        waiting, fronts = iter(()), ones
    order.extend(fronts)
    done = end = 0
    for axis in axes:
        if not axis:
            order.extend([one for one in (next(waiting, None),) if one is not None])
            continue
        end += len(axis)
        while done < end:
            place = starts.get(flat[done])
            if place is None or tuple(flat[done : done + len(spans[place])]) != spans[place]:
                return None
            order.append(place)
            done += len(spans[place])
    return tuple(order)
