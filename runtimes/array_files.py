"""Arrays by name between processes: an .npz file in a fixed order, texts included, nothing pickled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault

Array = NDArray[Any]


def save_arrays(path: Path, arrays: Mapping[str, Array]) -> list[str]:
    """Write arrays in their order, and give their names: a name in a zip file could be anything.

    Texts go as numpy strings. Raises BadInput for objects that are no texts, IoFault where there is no room.
    """
    plain = [_plain(name, array) for name, array in arrays.items()]
    try:
        np.savez(path, *plain, allow_pickle=False)
    except OSError as fault:
        raise io_fault(fault, f"{path.parent} takes no {sum(array.nbytes for array in plain):,} bytes") from fault
    return list(arrays)


def load_arrays(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """What `save_arrays` wrote, under the names that it gave; texts as object arrays."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[f"arr_{place}"] for place, name in enumerate(names)}
    return {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in arrays.items()}


def _plain(name: str, array: Array) -> Array:
    if array.dtype.kind not in "OT":
        return array
    if not all(isinstance(value, str) and not value.endswith("\0") for value in array.ravel().tolist()):
        raise BadInput(f"{name!r} holds objects that are no texts, or texts that end in NUL", "feed numbers or texts")
    return array.astype(str)
