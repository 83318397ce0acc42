"""A model's outputs as the columns that profiles count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlpack_edge.batch.profiling.places import as_category, as_numbers
from mlpack_edge.core.signature import Signature
from mlpack_edge.profiles.arrays.counting import Coded, Column, confidences
from mlpack_edge.profiles.cells import category_text
from mlpack_edge.profiles.reference.slots import LARGEST_PLACE, LARGEST_VALUE, Slot, Slots

Array = NDArray[Any]


def answer_columns(
    slots: Slots, outputs: Mapping[str, pa.Array], accepted: NDArray[np.bool_]
) -> tuple[dict[str, Column], Array | None]:
    """By feature name the outputs of the accepted rows, and their class probabilities `[accepted, classes]`.

    outputs: the columns of the scored table by output name; null where a row was not accepted.
    """
    answered = {
        name: array if accepted.all() else array.filter(pa.array(accepted)) for name, array in outputs.items()
    }  # fmt: skip
    columns = {slot.source.name: _column(slot, answered[slot.source.tensor]) for slot in slots.outputs}
    return columns, _matrix(answered[slots.probabilities]) if slots.probabilities else None


def _column(slot: Slot, array: pa.Array) -> Column:
    index = slot.source.index
    if index in (LARGEST_PLACE, LARGEST_VALUE):
        matrix = _matrix(array)
        return Coded(matrix.argmax(axis=1), slot.known) if index == LARGEST_PLACE else matrix.max(axis=1)
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        array = array.flatten().take(pa.array(np.arange(len(array)) * width + index))
    return as_category(array) if slot.category else as_numbers(array)


def _matrix(array: pa.Array) -> Array:
    if pa.types.is_fixed_size_list(array.type):
        return np.asarray(array.flatten().to_numpy(zero_copy_only=False)).reshape(len(array), array.type.list_size)
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(len(array), 1)


class Predicted:
    """The class that a model names for each row: its label, or the class of the largest probability."""

    def __init__(self, signature: Signature) -> None:
        self._label = next((spec.name for spec in signature.outputs if spec.role == "label"), "")
        self._sure = next((spec.name for spec in signature.outputs if spec.role == "probabilities"), "")
        self._classes = [category_text(value) for value in signature.classes]
        #: Whether a label was ever a class: one that the signature names, or that the model said.
        self.met = False

    @property
    def known(self) -> bool:
        return bool(self._sure and (self._label or self._classes))

    def right(self, outputs: Mapping[str, pa.Array], accepted: NDArray[np.bool_], truth: Coded) -> tuple[Array, Array]:
        """Confidence float64 `[labelled]` and whether the class is the true one, bool `[labelled]`, of the accepted rows
        whose label is there."""
        rows = np.flatnonzero(accepted & (truth.codes >= 0))
        answered = {name: outputs[name].take(pa.array(rows)) for name in {self._label, self._sure} - {""}}
        matrix = _matrix(answered[self._sure])
        said = self._said(answered, matrix)
        true = _texts(truth.values)[truth.codes[rows]]
        self.met = self.met or not {*self._classes, *said.tolist()}.isdisjoint(true.tolist())
        return confidences(matrix), np.asarray(said == true)

    def _said(self, answered: Mapping[str, pa.Array], matrix: Array) -> Array:
        if self._label:
            label = as_category(answered[self._label])
            return np.asarray(_texts(label.values)[label.codes])
        places = matrix.argmax(axis=1) if matrix.shape[1] > 1 else (matrix[:, 0] > 0.5).astype(np.int64)
        return np.asarray(_texts(self._classes)[places])


def _texts(values: Sequence[object]) -> Array:
    made = np.empty(len(values), object)
    made[:] = [category_text(value) for value in values]
    return made
