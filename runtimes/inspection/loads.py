"""Does a runtime open the file? Asked in a child process, because a runtime may die of a damaged one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


def in_onnxruntime(payload: Json, stage: Callable[[str], None]) -> Json:
    """Open `payload["path"]` in ONNX Runtime on the CPU: `{"loads": true}` or `{"loads": reason}`."""
    from pathlib import Path

    from mlpack_edge.runtimes.onnxruntime import loads

    stage("opening it in ONNX Runtime")
    return {"loads": loads(Path(payload["path"])) or True}


def in_litert(payload: Json, stage: Callable[[str], None]) -> Json:
    """Open `payload["path"]` in LiteRT and let it plan its memory: `{"loads": true}` or `{"loads": reason}`."""
    from ai_edge_litert.interpreter import Interpreter

    stage("opening it in LiteRT")
    try:
        interpreter = Interpreter(model_path=payload["path"], num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, TypeError, OverflowError) as fault:
        return {"loads": " ".join(str(fault).split())[:400]}
    return {"loads": True}
