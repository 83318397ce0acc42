"""Run ONNX files with ONNX Runtime, on the CPU, at one thread, so that equal inputs give equal bits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Official builds since 1.29 send usage to Microsoft from a thread of their own; this is read when the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from numpy.typing import NDArray

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.row_streams.cutting import fixed_batch
from mlpack_edge.runtimes.runtime import check_names

Array = NDArray[Any]

#: What ONNX Runtime raises; none of these has a public base class.
FAULTS: tuple[type[Exception], ...] = tuple(
    getattr(onnxruntime.capi.onnxruntime_pybind11_state, name)
    for name in (
        "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotFound", "NotImplemented",
        "RuntimeException", "EPFail", "EngineError", "ModelLoaded", "NoModel",
    )
)  # fmt: skip


def open_session(
    model: bytes | Path, threads: int = 1, prepack: bool = True, as_written: bool = False, lean: bool = False
) -> onnxruntime.InferenceSession:
    """A CPU session with `threads` intra-op threads that do not spin.

    prepack: lay out the weights for fast runs, a second copy of them; a session that is never run needs none.
    as_written: each operator as the file has it. Optimized, a quantized model rounds elsewhere, and on x86 without VNNI
    its sums saturate. lean: each run gives its memory back, and shapes are taken as soon as they can be, so that
    no tensor is kept for that.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if lean:
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    if not prepack:
        options.add_session_config_entry("session.disable_prepacking", "1")
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def loads(model: bytes | Path) -> str | None:
    """None where ONNX Runtime opens the model, else its reason in one line."""
    try:
        open_session(model, prepack=False)
    except FAULTS as fault:
        return " ".join(str(fault).split())[:400]
    return None


def run_raw(session: onnxruntime.InferenceSession, feeds: Mapping[str, Array]) -> dict[str, Any]:
    """All outputs by name as ONNX Runtime gives them: arrays, or lists of maps from a ZipMap."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def run(session: onnxruntime.InferenceSession, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs by name. Strings come back as object arrays."""
    return {name: np.asarray(value) for name, value in run_raw(session, feeds).items()}


def run_in_pieces(
    session: onnxruntime.InferenceSession, feeds: Mapping[str, Array], batch: int | None
) -> dict[str, Any]:
    """As `run_raw`, in pieces of `batch` rows where a model is fixed to that batch (None: it takes any)."""
    rows = len(next(iter(feeds.values()))) if feeds else 0
    if batch is None or rows == batch:
        return run_raw(session, feeds)
    pieces = [
        run_raw(session, {name: array[start : start + batch] for name, array in feeds.items()})
        for start in range(0, rows, batch)
    ]
    return {name: _joined([piece[name] for piece in pieces]) for name in pieces[0]}


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], list):
        return [row for part in parts for row in part]
    return np.concatenate(parts)


class OnnxRunner:
    """An ONNX file or model as a `parity.Runner`, at one thread."""

    def __init__(self, model: bytes | Path, signature: Signature) -> None:
        self.signature = signature
        try:
            self._session = open_session(model)
        except FAULTS as fault:
            raise CheckFailed(
                "ONNX Runtime does not load the model",
                "mlpack inspect says what it holds; mlpack doctor says whether the versions go together",
                why=" ".join(str(fault).split())[:400],
            ) from fault
        self._batch = fixed_batch(spec.shape for spec in signature.inputs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs; row by row (or in pieces) where the model has a fixed batch.

        Raises BadInput for feeds of other names, CheckFailed where ONNX Runtime stops.
        """
        check_names(feeds, [spec.name for spec in self.signature.inputs])
        try:
            made = run_in_pieces(self._session, feeds, self._batch)
        except FAULTS as fault:
            raise CheckFailed(
                f"ONNX Runtime stopped on inputs of {', '.join(str(list(array.shape)) for array in feeds.values())}",
                "report the model's source with this message: a converted model must take every batch",
                why=" ".join(str(fault).split())[:400],
            ) from fault
        return {name: np.asarray(value) for name, value in made.items()}


class OnnxRuntime:
    """ONNX Runtime as a `runtime.Runtime`."""

    formats = ("onnx",)

    def loads(self, model: Path) -> str | None:
        return loads(model)

    def open(self, model: bytes | Path, signature: Signature | None = None) -> OnnxRunner:
        if signature is None:
            from mlpack_edge.runtimes.onnx_files.file import check_model, open_onnx, parse
            from mlpack_edge.runtimes.onnx_files.signature import signature_from_onnx

            opened = check_model(parse(model), Path()) if isinstance(model, bytes) else open_onnx(model)
            signature = signature_from_onnx(opened)
        return OnnxRunner(model, signature)
