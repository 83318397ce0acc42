"""Short names and constants that are there once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import onnx
from onnx import numpy_helper

from mlpack_edge.converters.quantization.static.view import Array


class Names:
    """Names that nothing in a graph has: a letter and a running number."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._counts: dict[str, itertools.count[int]] = {}

    def fresh(self, letter: str) -> str:
        count = self._counts.setdefault(letter, itertools.count())
        name = next(name for number in count if (name := f"{letter}{number}") not in self._taken)
        self._taken.add(name)
        return name


class Constants:
    """Initializers that are added; equal ones are one."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._by_content: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.tensors: list[onnx.TensorProto] = []

    def add(self, array: Array, letter: str) -> str:
        """The name of an initializer that holds `array`."""
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._by_content:
            name = self._names.fresh(letter)
            self.tensors.append(numpy_helper.from_array(array, name))
            self._by_content[key] = name
        return self._by_content[key]
