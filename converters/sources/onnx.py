"""ONNX files as a source: brought up to date, cleaned, signed; held against the file they came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_onnx.convert import OnnxOptions, convert, load, load_whole
from mlpack_edge.converters.quantized_parity import is_quantized
from mlpack_edge.converters.sources.source import SourceOptions
from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.onnx_files.signature import real_inputs, shape_of
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session, run_in_pieces
from mlpack_edge.runtimes.parity import RowsRefused, rows_of
from mlpack_edge.runtimes.row_streams.cutting import fixed_batch
from mlpack_edge.runtimes.rows import Hints
from mlpack_edge.runtimes.shortage import refuse_lack_of_memory

Array = NDArray[Any]


def from_onnx(name: str, options: SourceOptions) -> OnnxSource:
    """Open an ONNX file as a source; external data outside its folder is refused before anything reads it."""
    if options.stop_before:
        raise BadInput("an ONNX file has no steps to stop before", "leave --stop-before out")
    return OnnxSource(name, options)


class OnnxSource:
    """The file as it is is the reference; what is written is cleaned.

    The file is read again for each of the two instead of being held: a large model is in memory once at a time.
    """

    kind = "onnx"

    def __init__(self, name: str, options: SourceOptions) -> None:
        self._name = name
        self._options = OnnxOptions(options.opset, options.shapes)
        self._state = _state(name)
        model, self._is_whole = load_whole(Path(name))
        self._batch = fixed_batch(shape_of(value) or () for value in real_inputs(model.graph))
        self._is_quantized = is_quantized(model)
        clean = convert(model, self._options)
        self.signature = clean.signature
        self._signature, self._outputs, self._notes = clean.signature, clean.outputs, clean.notes
        self._reference: Callable[[dict[str, Array]], dict[str, Any]] | None = None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What the file as it is gives, under the names of the cleaned model's outputs."""
        if self._reference is None:
            self._reference = self._open()
        return self.answers_from_outputs(self._reference(dict(feeds)))

    def answers_from_outputs(self, made: Mapping[str, Any]) -> dict[str, Array]:
        """What `run` would give of the outputs of the file as it is."""
        renamed = {after: self._array(made[before]) for before, after in self._outputs.items()}
        return {spec.name: renamed[spec.name] for spec in self.signature.outputs if spec.name in renamed}

    def _array(self, value: Any) -> Array:
        """An output as an array: what a ZipMap gives, a map from class to probability a row, as `[batch, classes]`."""
        if not isinstance(value, list):
            return np.asarray(value)
        classes = self.signature.classes
        rows = [[row[label] for label in classes] for row in value]
        return np.array(rows, np.float32).reshape(len(value), len(classes))

    def original(self) -> onnx.ModelProto:
        """The file as it is, its external data folded in. Raises BadInput where it was replaced meanwhile."""
        if _state(self._name) != self._state:
            raise BadInput(f"{self._name} changed while it was read", "wait until it is written, and start again")
        return load(Path(self._name))

    def convert(self) -> BuiltModel:
        return BuiltModel(convert(self.original(), self._options).model, self._signature, {})

    def adopt(self, signature: Signature) -> None:
        self.signature = signature

    def hints(self) -> Hints:
        return Hints()

    def step_outputs(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {}

    def notes(self) -> list[str]:
        return list(self._notes)

    def _for_runtime(self) -> bytes | Path:
        """The file itself where it is whole, for that takes the least memory; else with its external data folded in."""
        path = Path(self._name)
        if self._is_whole and _state(self._name) == self._state:
            return path
        data: bytes = self.original().SerializeToString()
        return data

    def _open(self) -> Callable[[dict[str, Array]], dict[str, Any]]:
        """ONNX Runtime; where the file is too new for it, onnx's own reference implementation."""
        try:
            session = open_session(self._for_runtime(), as_written=self._is_quantized)
        except FAULTS as fault:
            reason = " ".join(str(fault).split())[:400]
        else:
            return lambda feeds: _in_pieces(session, feeds, self._batch)
        from onnx.reference import ReferenceEvaluator

        try:
            slow = ReferenceEvaluator(self.original())
        except (RuntimeError, NotImplementedError, TypeError, ValueError) as fault:
            raise CheckFailed(
                f"{self._name} runs neither in ONNX Runtime nor in onnx's reference implementation",
                "nothing can be proven about a model that does not run: export it again",
                why=f"{reason}; {fault}"[:500],
            ) from fault
        names = list(slow.output_names)
        return lambda feeds: dict(zip(names, slow.run(None, feeds), strict=True))


def _state(name: str) -> tuple[int, int, int]:
    """What changes when a file is replaced or written to. Raises IoFault."""
    try:
        found = os.stat(name)  # noqa: PTH116 - the three figures, not a Path
    except OSError as fault:
        raise io_fault(fault, f"{name} could not be read") from fault
    return found.st_ino, found.st_size, found.st_mtime_ns


def _in_pieces(session: Any, feeds: dict[str, Array], batch: int | None) -> dict[str, Any]:
    """Run the file as it is, in pieces of its own batch where that is fixed. Raises RowsRefused with its reason,
    MemoryError where that is a want of memory."""
    rows = rows_of(feeds)
    if batch is not None and rows % batch:
        raise RowsRefused(f"the model takes batches of {batch} rows, {rows} rows are no whole number of them")
    try:
        return run_in_pieces(session, feeds, batch)
    except FAULTS as fault:
        refuse_lack_of_memory(str(fault))
        raise RowsRefused(" ".join(str(fault).split())[:300]) from fault
