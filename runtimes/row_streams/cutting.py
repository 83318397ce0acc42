"""Which inputs of a model have a part for each row, and rows regrouped into pieces of a size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature

Array = NDArray[Any]
Arrays = dict[str, Array]


def by_row(signature: Signature) -> tuple[frozenset[str], int | None]:
    """The inputs that have a part for each row, and the batch that the model is fixed to (None: any).

    Those of open first size; where there is none, those of the batch's size: the one first size that all have, else 1.
    Others (a state of [layers, batch, units], a single number) go whole with every batch.
    """
    firsts = {spec.name: spec.shape[0] for spec in signature.inputs if spec.shape}
    opened = frozenset(name for name, size in firsts.items() if isinstance(size, str))
    if opened or not firsts:
        return opened, None
    sizes = set(firsts.values())
    batch = sizes.pop() if len(sizes) == 1 else 1
    assert isinstance(batch, int)
    return frozenset(name for name, size in firsts.items() if size == batch), batch


def cut_of(signature: Signature) -> frozenset[str] | None:
    """The inputs that have a part for each row (see `by_row`); None where the signature has none that has."""
    return by_row(signature)[0] or None


def fixed_batch(shapes: Iterable[Sequence[object]]) -> int | None:
    """The batch that a model of inputs of these shapes is fixed to: the first size that all have.

    None where it takes any, or they have none in common: what is fixed beside an open input, or to another size, is no batch (a
    state of [layers, batch, units], a table). Open sizes are names, None, or negative.
    """
    firsts = {shape[0] if shape else None for shape in shapes}
    size = firsts.pop() if len(firsts) == 1 else None
    return size if isinstance(size, int) and size > 0 else None


def check_shapes(feeds: Mapping[str, Array], signature: Signature, cut: frozenset[str], where: str) -> None:
    """Raise BadInput, naming the input, where arrays are not of the sizes that the signature states."""
    for spec in signature.inputs:
        found = feeds[spec.name].shape
        wanted = ("rows", *spec.shape[1:]) if spec.name in cut else spec.shape
        if len(found) != len(wanted) or any(
            isinstance(size, int) and size != got for size, got in zip(wanted, found, strict=True)
        ):
            shown = ["rows", *found[1:]] if spec.name in cut and found else list(found)
            hint = "give an array of that shape"
            if cut and spec.name not in cut:
                hint = (
                    f"{spec.name!r} has no part for each row (a state, a table): it goes whole with every batch; give it once, as "
                    f"one array of that shape"
                )
            raise BadInput(f"{where}: {spec.name!r} has the shape {shown}, the model takes {list(wanted)} there", hint)


def every_nth(arrays: Arrays, cut: frozenset[str], start: int, nth: int, held: bool) -> Arrays:
    """Of rows `start`, `start + 1`, ... those of each `nth` that come last (held), or the others."""
    rows = count(arrays, cut)
    chosen = (np.arange(start, start + rows) % nth == nth - 1) == held
    return {name: array[chosen] if name in cut else array for name, array in arrays.items()}


def recut(pieces: Iterable[Arrays], cut: frozenset[str], rows: int) -> Iterator[Arrays]:
    """The same rows in pieces of exactly `rows`, the last perhaps shorter."""
    held: list[Arrays] = []
    have = 0
    for piece in pieces:
        at, size = 0, count(piece, cut)
        while at < size:
            taken = min(size - at, rows - have)
            whole = at == 0 and taken == size
            held.append(piece if whole else _rows(piece, cut, at, at + taken))
            at, have = at + taken, have + taken
            if have == rows:
                yield _joined(held, cut)
                held, have = [], 0
    if held:
        yield _joined(held, cut)


def count(arrays: Mapping[str, Array], cut: frozenset[str]) -> int:
    """How many rows the arrays have; 1 where none has a part for each."""
    return next((len(array) for name, array in arrays.items() if name in cut), 1)


def _rows(arrays: Arrays, cut: frozenset[str], start: int, stop: int) -> Arrays:
    return {name: array[start:stop] if name in cut else array for name, array in arrays.items()}


def _joined(parts: list[Arrays], cut: frozenset[str]) -> Arrays:
    if len(parts) == 1:
        return parts[0]
    return {
        name: np.concatenate([part[name] for part in parts]) if name in cut else array
        for name, array in parts[0].items()
    }
