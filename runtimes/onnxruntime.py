"""Run ONNX files with ONNX Runtime, on the CPU, at one thread, so that equal inputs give equal bits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[Any]

# ONNX Runtime raises these, none of them under a public base class.
_FAULTS: tuple[type[Exception], ...] = tuple(
    getattr(onnxruntime.capi.onnxruntime_pybind11_state, name)
    for name in (
        "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotFound", "NotImplemented",
        "RuntimeException", "EPFail", "EngineError", "ModelLoaded", "NoModel",
    )
)  # fmt: skip


def open_session(model: bytes | Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session with `threads` intra-op threads that do not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def loads(model: bytes | Path) -> str | None:
    """None where ONNX Runtime opens the model, else its reason in one line."""
    try:
        open_session(model)
    except _FAULTS as fault:
        return " ".join(str(fault).split())[:400]
    return None


def run(session: onnxruntime.InferenceSession, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs by name. Strings come back as object arrays."""
    names = [output.name for output in session.get_outputs()]
    made = session.run(names, dict(feeds))
    return {name: np.asarray(value) for name, value in zip(names, made, strict=True)}
