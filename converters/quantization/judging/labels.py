"""Labels and answers as the same classes or numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput

Array = NDArray[Any]
Codes = NDArray[np.int64]


def class_text(value: object) -> str:
    """A class as people write it: whole numbers without a point, truth values as numbers."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


class Classes:
    """The classes there are, and the code of each. known: in the order of the model's columns; None: whatever the model
    answers is a class, in the order of appearance (text: whether it answers with texts, None where that is unknown)."""

    def __init__(self, known: Sequence[object] | None, text: bool | None = None) -> None:
        self._open = known is None
        self._text = text
        self._codes = {class_text(one): code for code, one in enumerate(known or ())}
        self._strangers: dict[str, int] = {}

    def of_answers(self, array: Array) -> Codes:
        """array: names `[rows]` that a model gave. int64 `[rows]`; a name that is no known class gets a code of its own."""

        def code(text: str, _: int) -> int:
            if text in self._codes or self._open:
                return self._codes.setdefault(text, len(self._codes))
            return self._strangers.setdefault(text, len(self._codes) + len(self._strangers))

        return self._coded(array, code)

    def of_labels(self, array: Array, start: int) -> Codes:
        """array: labels `[rows]` or `[rows, 1]`, the first being row `start`. int64 `[rows]`.

        Raises BadInput where one is missing, or is none of the model's classes.
        """
        if (
            self._open
            and self._text is not None
            and array.dtype.kind != "O"
            and self._text != (array.dtype.kind in "US")
        ):
            kinds = ("texts", "numbers") if self._text else ("numbers", "texts")
            raise BadInput(
                f"the labels are {kinds[1]}, the model's classes {kinds[0]}", "pass labels as the model says them"
            )
        flat = _one_a_row(array)

        def code(text: str, place: int) -> int:
            if _is_missing(flat[place]):
                raise missing(start + place)
            if not self._open and text not in self._codes:
                raise self._unknown(text, start + place)
            return self._codes.setdefault(text, len(self._codes))

        return self._coded(flat, code)

    def _coded(self, array: Array, code: Any) -> Codes:
        plain = array.astype(np.str_) if array.dtype.kind == "O" and not _has_missing(array) else array
        if plain.dtype.kind == "O":
            values = [class_text(one) for one in plain.tolist()]
            return np.array([code(text, place) for place, text in enumerate(values)], np.int64)
        unique, first, inverse = np.unique(plain, return_index=True, return_inverse=True)
        order = np.argsort(first)  # codes by appearance, so that they do not depend on the batches
        codes = np.zeros(len(unique), np.int64)
        for at in order.tolist():
            codes[at] = code(class_text(unique[at].item()), int(first[at]))
        return np.asarray(codes[inverse.reshape(-1)])

    def _unknown(self, text: str, row: int) -> BadInput:
        shown = ", ".join(list(self._codes)[:20]) + (", ..." if len(self._codes) > 20 else "")
        return BadInput(
            f"label {text!r} in row {row} is none of the model's classes",
            "pass labels as the model says them, or name another column with --label",
            why=f"its classes are {shown}",
        )


def numbers(array: Array, start: int, targets: int) -> NDArray[np.float64]:
    """Labels of a regression, float64 `[rows, targets]`. Raises BadInput for texts, missing ones, and another number of targets."""
    if array.dtype.kind not in "fiub":
        raise BadInput("the labels are no numbers", "name a column of numbers with --label, or another --metric")
    flat = array.reshape(len(array), -1).astype(np.float64)
    if flat.shape[1] != targets:
        raise BadInput(
            f"there are {flat.shape[1]} labels a row, and the model gives {targets} numbers",
            "pass as many labels as the model gives numbers",
        )
    bad = ~np.isfinite(flat).all(axis=1)
    if bad.any():
        raise missing(start + int(bad.argmax()))
    return flat


def missing(row: int) -> BadInput:
    return BadInput(f"row {row} has no label", "leave out the rows without one")


def _one_a_row(array: Array) -> Array:
    if array.size != len(array):
        raise BadInput(
            f"there are labels of shape {list(array.shape)}; classes are judged by one label a row",
            "pass the number or the name of the class of each row",
        )
    return array.reshape(len(array))


def _has_missing(array: Array) -> bool:
    return any(not isinstance(one, str) for one in array.ravel().tolist())


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
