"""What the float model answered, kept within a bound of memory, the rest in a temporary file that nobody else sees."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.files import io_fault

Array = NDArray[Any]


class Kept:
    """Arrays by name, batch after batch, given back as they came but for texts, which become numpy's own (`<U..`).

    memory: bytes beyond which batches go to a file in `folder` (None: where temporary files go). Raises IoFault where that
    file cannot be written or read again.
    """

    def __init__(self, memory: int, folder: Path | None = None) -> None:
        self._left = memory
        self._folder = folder
        self._batches: list[dict[str, Array] | dict[str, int]] = []
        self._file: IO[bytes] | None = None

    def append(self, answers: Mapping[str, Array]) -> None:
        batch = {name: _plain(array) for name, array in answers.items()}
        size = sum(array.nbytes for array in batch.values())
        # Once in the file, always: the first that did not fit shows that memory is nearly used up, and smaller batches that
        # still fit would only use up the rest. (Either would be read back in order.)
        if size <= self._left and self._file is None:
            self._left -= size
            self._batches.append(batch)
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, prefix="mlpack-answers-")  # noqa: SIM115
            places = {}
            for name, array in batch.items():
                places[name] = self._file.seek(0, 2)
                np.save(self._file, array, allow_pickle=False)
        except OSError as fault:
            raise io_fault(fault, "the float model's answers could not be kept") from fault
        self._batches.append(places)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for batch in self._batches:
            yield {name: item if isinstance(item, np.ndarray) else self._read(item) for name, item in batch.items()}

    def _read(self, place: int) -> Array:
        assert self._file is not None
        try:
            self._file.seek(place)
            array: Array = np.load(self._file, allow_pickle=False)
        except OSError as fault:
            raise io_fault(fault, "the float model's answers could not be read again") from fault
        return array

    @property
    def spilled(self) -> bool:
        """Whether a file holds part of them."""
        return self._file is not None

    def close(self) -> None:
        """Forget all of it; the file goes with it."""
        self._batches.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


def _plain(array: Array) -> Array:
    return array.astype(np.str_) if array.dtype == object else array
