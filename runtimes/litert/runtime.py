"""LiteRT as a `runtime.Runtime`: opens files and says why it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.litert.library import FAULTS, Library, library, reason_of
from mlpack_edge.runtimes.litert.runner import LitertRunner

#: A size for what varies: larger than most kernels and strides.
GUESS = 64


class LitertRuntime:
    """Whatever `library` finds, in the registered runtime's form."""

    formats = ("tflite",)

    def loads(self, model: Path) -> str | None:
        return loads(model)

    def open(self, model: bytes | Path, signature: Signature | None = None) -> LitertRunner:
        return LitertRunner(model, signature)


def loads(model: bytes | Path, through: Library | None = None) -> str | None:
    """None where a file opens, gets its memory planned and runs once on zeros, at the shapes it was written with.

    Converters write 1 for sizes that vary, at which a convolution may have nothing to do: such a file is tried with
    GUESS in their place too. A file can kill or hold up the process that does this: `isolated.litert_loads` is for
    those from elsewhere. Raises MissingExtra where no package here runs TFLite.
    """
    module = (through or library()).module
    source = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    step = "not opened"
    try:
        interpreter = module.Interpreter(**source, num_threads=1)
        inputs = interpreter.get_input_details()
        step = "no memory planned"
        interpreter.allocate_tensors()
        step = "stopped on zeros"
        _run_on_zeros(interpreter)
    except FAULTS as fault:
        if step == "not opened" or not any(-1 in details["shape_signature"][1:] for details in inputs):
            return f"{step}: {reason_of(fault)}"
        return _loads_larger(module.Interpreter(**source, num_threads=1), f"{step}: {reason_of(fault)}")
    return None


def _loads_larger(interpreter: Any, reason: str) -> str | None:
    """None where the model runs with GUESS for the sizes that vary, else the reason it did not at its own."""
    try:
        for details in interpreter.get_input_details():
            declared = [int(size) for size in details["shape_signature"]]
            shape = [abs(size) if place == 0 else GUESS if size < 0 else size for place, size in enumerate(declared)]
            interpreter.resize_tensor_input(details["index"], shape, strict=True)
        interpreter.allocate_tensors()
        _run_on_zeros(interpreter)
    except FAULTS:
        return reason
    return None


def _run_on_zeros(interpreter: Any) -> None:
    for details in interpreter.get_input_details():
        if np.dtype(details["dtype"]).kind in "biufc":  # texts and resources are empty from the start
            interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
    interpreter.invoke()
