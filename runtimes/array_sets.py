"""Sets of arrays by name, one after the other, in one .npz file between processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.files import io_fault
from mlpack_edge.runtimes.array_files import load_arrays, save_arrays

Array = NDArray[Any]


def save_sets(path: Path, sets: Sequence[Mapping[str, Array]]) -> list[list[str]]:
    """Write the sets and give the names in each. Raises BadInput as `save_arrays` does, IoFault."""
    arrays = {f"{place}:{name}": array for place, one in enumerate(sets) for name, array in one.items()}
    try:
        save_arrays(path, arrays)
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be written") from fault
    return [list(one) for one in sets]


def load_sets(path: Path, names: Sequence[Sequence[str]]) -> list[dict[str, Array]]:
    """What `save_sets` wrote, under the names that it gave; texts as object arrays."""
    found = load_arrays(path, [f"{place}:{name}" for place, one in enumerate(names) for name in one])
    return [{name: found[f"{place}:{name}"] for name in one} for place, one in enumerate(names)]
