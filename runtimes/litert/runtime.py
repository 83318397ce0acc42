"""LiteRT as a `runtime.Runtime`: opens files and says why it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.litert.library import FAULTS, Library, library, reason_of
from mlpack_edge.runtimes.litert.runner import LitertRunner


class LitertRuntime:
    """Whatever `library` finds, in the registered runtime's form."""

    formats = ("tflite",)

    def loads(self, model: Path) -> str | None:
        return loads(model)

    def open(self, model: bytes | Path, signature: Signature | None = None) -> LitertRunner:
        return LitertRunner(model, signature)


def loads(model: bytes | Path, through: Library | None = None) -> str | None:
    """None where a file opens, gets its memory planned and runs once on zeros, at the shapes it was written with.

    A file can kill or hold up the process that does this: `isolated.litert_loads` is for those from elsewhere.
    Raises MissingExtra where no package here runs TFLite.
    """
    module = (through or library()).module
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    step = "not opened"
    try:
        interpreter = module.Interpreter(**source, num_threads=1)
        step = "no memory planned"
        interpreter.allocate_tensors()
        step = "stopped on zeros"
        for details in interpreter.get_input_details():
            if np.dtype(details["dtype"]).kind in "biufc":  # texts and resources are empty from the start
                interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
        interpreter.invoke()
    except FAULTS as fault:
        return f"{step}: {reason_of(fault)}"
    return None
