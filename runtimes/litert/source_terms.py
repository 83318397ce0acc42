"""A TFLite file that answers in the terms of the model it was made from: its layout, element types, texts.

`mlpack convert` stores in the file what is not the same: the source's signature and the layout. With them the file
takes the rows that its source takes, and the two can be held against each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import Dimension, Signature, TensorSpec, signature_from_text
from mlpack_edge.runtimes.litert.borders import Values
from mlpack_edge.runtimes.litert.model_file import read_model, stored_signature
from mlpack_edge.runtimes.litert.runner import LitertOptions, LitertRunner
from mlpack_edge.runtimes.parity import Runner

Array = NDArray[Any]

#: Metadata: the signature of the ONNX model, where that of the file is another.
SOURCE_SIGNATURE_KEY = "mlpack.source_signature"
#: Metadata: "nhwc" where inputs and outputs of rank 3 to 5 are channel-last and those of the source are not.
LAYOUT_KEY = "mlpack.layout"
_CODES = ("int8", "uint8", "int16")
#: The ranks that `--layout nhwc` turns.
TURNED = (3, 4, 5)


def narrow(signature: Signature) -> Signature:
    """`signature` with float32 where it says float64: the rows that a TFLite file and its source both take exactly."""

    def of(spec: TensorSpec) -> TensorSpec:
        return replace(spec, dtype="float32") if spec.dtype == "float64" else spec

    return replace(signature, inputs=tuple(map(of, signature.inputs)))


class Narrowed:
    """A model as a `parity.Runner` that takes the rows of `narrow(signature)`, and computes as it always does.

    What it gives beyond float32 is infinite: that is all a TFLite file can say of it. held_against: the signature of the
    file; a size that is fixed there is fixed in the rows as well.
    """

    def __init__(self, model: Runner, held_against: Signature | None = None) -> None:
        self._model = model
        own = narrow(model.signature)
        sizes = {spec.name: spec.shape for spec in held_against.inputs} if held_against else {}
        inputs = tuple(replace(spec, shape=_fixed(spec.shape, sizes.get(spec.name, ()))) for spec in own.inputs)
        self.signature = replace(own, inputs=inputs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The model's answers to the same numbers in its own element types. Raises what the model raises."""
        made = self._model.run({spec.name: _as(feeds[spec.name], spec.dtype) for spec in self._model.signature.inputs})
        return {name: _within_float32(array) for name, array in made.items()}


def _fixed(own: tuple[Dimension, ...], other: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """`own` with the numbers that `other` has where it leaves a size open."""
    if len(own) != len(other):
        return own
    pairs = zip(own, other, strict=True)
    return tuple(there if isinstance(here, str) and isinstance(there, int) else here for here, there in pairs)


class TfliteModel:
    """A TFLite file as a `parity.Runner` in its source's terms.

    Raises what `LitertRunner` raises; a file from elsewhere may end the process.
    """

    kind = "tflite"

    def __init__(self, model: bytes | Path) -> None:
        file = read_model(model)
        self._model = model
        self._tensors = file.tensors
        self._runner: LitertRunner | None = None
        own = stored_signature(file)
        # A source whose inputs and outputs are codes takes and gives codes; elsewhere quantized borders are real
        # numbers, also where the file was given them as codes with a grid (`mlpack quantize --io int8`).
        borders = () if own is None else (*own.inputs, *own.outputs)
        self._io: Values = "codes" if any(spec.dtype in _CODES and spec.grid is None for spec in borders) else "real"
        if own is None:
            self._runner = self._opened()
            own = self._runner.signature
        self.own = own
        stored = file.metadata.get(SOURCE_SIGNATURE_KEY)
        whole = own if stored is None else signature_from_text(stored.decode("utf-8", "replace"))
        self.signature = narrow(whole)
        self._turned = file.metadata.get(LAYOUT_KEY) == b"nhwc"

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs. Raises RowsRefused (no rows), CheckFailed (LiteRT stopped), BadInput."""
        made = self._open().run(self._given(feeds))
        return {spec.name: self._answer(made[spec.name], spec) for spec in self.signature.outputs}

    def tensors_from_feeds(self, feeds: Mapping[str, Array]) -> list[Array]:
        """What the file's own input tensors hold of these rows, in LiteRT's order. Raises BadInput."""
        return self._open().tensors_from_feeds(self._given(feeds))

    def answers_from_tensors(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """What `run` would give of the file's own output tensors, these in LiteRT's order."""
        made = self._open().answers_from_tensors(arrays)
        return {spec.name: self._answer(made[spec.name], spec) for spec in self.signature.outputs}

    def tensors_by_output(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """The file's own output tensors, these in LiteRT's order, by the names of the outputs."""
        made = self._open().tensors_by_output(arrays)
        return {spec.name: made[spec.name] for spec in self.signature.outputs}

    def layers(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What the tensors that hold a value of the ONNX model hold, by that value's name, in ONNX's layout.

        `features:0231` holds `features` with its axes in that order (numpy.transpose). Empty where its inputs are codes.
        """
        if self._io == "codes":
            return {}  # codes at the border, real numbers under the names inside: they are not read together
        runner = LitertRunner(self._model, self.own, options=LitertOptions(preserve_all_tensors=True, decode=True))
        single = [name for name, count in Counter(self._tensors).items() if name and count == 1]
        made = runner.tensor_values(self._given(feeds), single)
        found: dict[str, Array] = {}
        for name, array in made.items():
            plain, _, order = name.rpartition(":")
            if plain and order.isdigit() and sorted(map(int, order)) == list(range(array.ndim)):
                found.setdefault(plain, array.transpose(np.argsort([int(axis) for axis in order])))
            else:
                found[name] = array
        return found

    def _open(self) -> LitertRunner:
        if self._runner is None:  # not before the reference has been opened: a large model is laid out once at a time
            self._runner = self._opened()
        return self._runner

    def _opened(self) -> LitertRunner:
        return LitertRunner(self._model, options=LitertOptions(decode=True, io=self._io))

    def _given(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        given = {}
        for spec in self.own.inputs:
            array = np.asarray(feeds[spec.name])
            if self._turned and array.ndim in TURNED:
                array = np.moveaxis(array, 1, -1)
            given[spec.name] = _as(array, spec.dtype)
        return given

    def _answer(self, array: Array, spec: TensorSpec) -> Array:
        if self._turned and array.ndim in TURNED:
            array = np.moveaxis(array, -1, 1)
        return _as(array, spec.dtype)


def _within_float32(array: Array) -> Array:
    """float64 numbers, those that no float32 is near as infinities."""
    if array.dtype != np.float64:
        return array
    with np.errstate(over="ignore"):
        held = array.astype(np.float32)
    return np.where(np.isinf(held), held.astype(np.float64), array)


def _as(array: Array, dtype: str) -> Array:
    """Floats in another width; everything else as it is, to be refused by who takes it where it does not fit."""
    if dtype.startswith("float") and array.dtype.kind == "f" and array.dtype.name != dtype:
        with np.errstate(over="ignore"):
            return array.astype(dtype)
    return array
