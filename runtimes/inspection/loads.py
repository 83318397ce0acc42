"""Does a runtime open the file? Asked in a child process, because a runtime may die of a damaged one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mlpack_edge.core.extensions import RUNTIMES, extensions

Json = dict[str, Any]

#: The format each of our own runtimes is for: known without importing it.
_OURS = {"onnxruntime": "onnx", "litert": "tflite"}
#: Asked beside "litert" where both packages are installed: devices with 32-bit ARM have no other.
_LEGACY = "tflite-runtime"


def runtimes_of(kind: str) -> list[str]:
    """The names of the runtimes to ask about a format. One that others registered is asked whatever the format is."""
    names = [name for name in extensions(RUNTIMES) if _OURS.get(name, kind) == kind]
    return names + ([_LEGACY] if kind == "tflite" and _both_installed() else [])


def in_runtime(payload: Json, stage: Callable[[str], None]) -> Json:
    """Open `payload["path"]` in the runtime `payload["runtime"]`, and run a TFLite file once on zeros.

    `{"loads": true}`, `{"loads": reason}`, or `{"loads": null}` where the runtime is not for `payload["format"]`.
    """
    name, path = payload["runtime"], Path(payload["path"])
    if name == _LEGACY:
        from mlpack_edge.runtimes.litert.isolated import litert_loads

        return litert_loads({"path": str(path), "library": name}, stage)
    runtime = extensions(RUNTIMES)[name].load()()
    if payload["format"] not in runtime.formats:
        return {"loads": None}
    stage(f"opening it in {name}")
    return {"loads": runtime.loads(path) or True}


def _both_installed() -> bool:
    try:
        return bool(version("ai-edge-litert") and version(_LEGACY))
    except PackageNotFoundError:
        return False
