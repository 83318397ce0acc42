"""A model file that is run on other machines: what it is fed there, and what its answers are in its own terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.comparing import Model
from mlpack_edge.converters.quantized_parity import is_quantized
from mlpack_edge.converters.sources.onnx import OnnxSource
from mlpack_edge.core.errors import CheckFailed, Unsupported
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.litert.source_terms import TfliteModel
from mlpack_edge.runtimes.machine_parity import Answers
from mlpack_edge.runtimes.onnx_files.external import external_tensors
from mlpack_edge.runtimes.onnx_files.file import open_onnx
from mlpack_edge.runtimes.onnx_files.signature import dtype_of
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session, run_raw
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.row_streams.cutting import fixed_batch
from mlpack_edge.runtimes.shortage import refuse_lack_of_memory

Array = NDArray[Any]
Arrays = Mapping[str, Array]


class MachineFile(Protocol):
    """`run` is a `parity.Runner`'s, with the runtime and options that a target's agent has.

    batch: rows of every call, None where the file takes any number. is_quantized: whether it computes with codes.
    beside: names of the files beside it that hold weights.
    """

    batch: int | None
    is_quantized: bool
    beside: tuple[str, ...]

    @property
    def signature(self) -> Signature: ...

    def run(self, feeds: Arrays) -> dict[str, Array]:
        """Raises RowsRefused."""
        ...

    def tensors_from_feeds(self, feeds: Arrays) -> dict[str, Array]:
        """What a target is fed for rows in the signature's terms."""
        ...

    def answers_from_outputs(self, made: Arrays) -> Answers:
        """From what a target gives."""
        ...


def machine_file(path: Path, model: Model) -> MachineFile:
    """The file at `path`, which was opened as `model`. Raises Unsupported where a target cannot run it."""
    if isinstance(model, TfliteModel):
        return _TfliteFile(path, model)
    assert isinstance(model, OnnxSource)
    return _OnnxFile(path, model)


class _OnnxFile:
    def __init__(self, path: Path, source: OnnxSource) -> None:
        model = open_onnx(path)
        for output in model.graph.output:
            if dtype_of(output) in ("map", "sequence", "optional", "sparse_tensor"):
                raise Unsupported(
                    f"{path}: the output {output.name!r} is a {dtype_of(output)}, which cannot be compared bit by bit",
                    f"mlpack convert {path} -o plain.onnx makes tensors of it; check that file",
                )
        self.signature, self._source = source.signature, source
        self.batch = fixed_batch(spec.shape for spec in source.signature.inputs)
        self.is_quantized = is_quantized(model)
        self.beside = tuple(dict.fromkeys(str(t.path.relative_to(path.parent)) for t in external_tensors(model, path.parent)))  # fmt: skip
        try:
            self._session = open_session(path)
        except FAULTS as fault:
            raise CheckFailed(
                f"ONNX Runtime does not load {path}",
                "mlpack inspect says what it holds; mlpack doctor says whether the versions go together",
                why=" ".join(str(fault).split())[:400],
            ) from fault

    def run(self, feeds: Arrays) -> dict[str, Array]:
        try:
            made = _in_batches(feeds, self.batch, lambda piece: run_raw(self._session, piece))
        except FAULTS as fault:
            refuse_lack_of_memory(str(fault))
            raise RowsRefused(" ".join(str(fault).split())[:300]) from fault
        return self._source.answers_from_outputs(made)

    def tensors_from_feeds(self, feeds: Arrays) -> dict[str, Array]:
        return dict(feeds)

    def answers_from_outputs(self, made: Arrays) -> Answers:
        answers = self._source.answers_from_outputs(made)
        return Answers(answers, answers)


class _TfliteFile:
    beside: tuple[str, ...] = ()

    def __init__(self, path: Path, model: TfliteModel) -> None:
        self.signature, self._model = model.signature, model
        self.batch = fixed_batch(spec.shape for spec in model.own.inputs)
        self.is_quantized = _computes_with_codes(path)

    def run(self, feeds: Arrays) -> dict[str, Array]:
        return self._model.run(feeds)

    def tensors_from_feeds(self, feeds: Arrays) -> dict[str, Array]:
        return {str(place): array for place, array in enumerate(self._model.tensors_from_feeds(feeds))}

    def answers_from_outputs(self, made: Arrays) -> Answers:
        arrays = [made[str(place)] for place in range(len(made))]
        return Answers(self._model.tensors_by_output(arrays), self._model.answers_from_tensors(arrays))


def _in_batches(feeds: Arrays, batch: int | None, run: Callable[[Arrays], Mapping[str, Array]]) -> dict[str, Array]:
    if batch is None:
        return dict(run(feeds))
    return joined([run(piece) for piece in in_batches(feeds, batch)])


def in_batches(feeds: Arrays, batch: int | None) -> list[dict[str, Array]]:
    """The rows in pieces of `batch`. Raises RowsRefused where they are no whole number of them."""
    if batch is None:
        return [dict(feeds)]
    rows = len(next(iter(feeds.values())))
    if not rows or rows % batch:
        raise RowsRefused(f"the model takes batches of {batch} rows, {rows} rows are no whole number of them")
    return [{name: array[start : start + batch] for name, array in feeds.items()} for start in range(0, rows, batch)]


def joined(parts: list[Mapping[str, Array]]) -> dict[str, Array]:
    """The outputs of pieces one after the other. Raises RowsRefused where one has no row for each of the input's."""
    if len(parts) == 1:
        return dict(parts[0])
    if any(array.ndim == 0 for part in parts for array in part.values()):
        raise RowsRefused("an output is a single number for a whole batch: feed one batch")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _computes_with_codes(path: Path) -> bool:
    """Whether tensors that are computed are quantized; weights alone do not count."""
    from mlpack_edge.runtimes.inspection.tflite import tflite_facts

    quantization = tflite_facts({"path": str(path)}, lambda stage: None)["quantization"]
    return bool(quantization and quantization.get("activations"))
