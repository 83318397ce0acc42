"""Which package runs TFLite here: chosen by running a tiny model, because an import that works proves nothing.

tflite-runtime 2.14 with numpy 2 imports, and then raises SystemError at the first `Interpreter()`.
"""

from __future__ import annotations

import base64
import importlib
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from mlpack_edge.core.errors import MissingExtra

#: Distribution -> the module with its `Interpreter`; the first that runs is taken.
LIBRARIES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
#: What they raise, from opening a file to running it (ValueError for bad operators, RuntimeError from kernels).
FAULTS: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError, OverflowError)
#: What a broken installation raises on top.
_BROKEN: tuple[type[Exception], ...] = (*FAULTS, ImportError, AttributeError, SystemError)
#: A model of 304 bytes, y = x + x for two float32 numbers (schema version 3, one ADD): zlib, then base 85.
TINY_MODEL = zlib.decompress(base64.b85decode(
    "c-rG&U|<Mw^D*A{|NnmxAX^5Ab%2<Ik%563NCPPb79eH-%JTrJ+?;~M<ZOk4qWq*(2B<tp9|Hp)g9MNzz`(=60o1_<6$hCY1H=hHoB}l~H!(90"
    "T`!0R>E(v%6#$DfaPvUf4M6)Dp?a7Y5P%U0GeG4Gp!Pfg>fr#=JW%;cB>g;KcQSxgg5;6aRUoNjgvzmiAp-*dQ2rVz"
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Library:
    """An installed package that was seen to run a model. module: what holds `Interpreter` and `OpResolverType`."""

    name: str
    version: str
    module: Any


def reason_of(fault: BaseException) -> str:
    """What LiteRT said, in one line."""
    return " ".join(str(fault).split())[:400] or type(fault).__name__


@cache
def library(name: str = "") -> Library:
    """The package `name`, or else the first of LIBRARIES that runs a model.

    Raises MissingExtra with the reason of each that does not.
    """
    reasons = []
    for candidate in [name] if name else LIBRARIES:
        try:
            module = importlib.import_module(LIBRARIES[candidate])
            number = version(candidate)
            run_tiny(module)
        except _BROKEN as fault:
            reasons.append(f"{candidate}: {reason_of(fault)}")
        else:
            return Library(candidate, number, module)
    raise MissingExtra(
        f"no package that runs TFLite files works here{f' ({name})' if name else ''}",
        "pip install --force-reinstall ai-edge-litert; mlpack doctor shows what does not go together",
        why="; ".join(reasons), module="ai_edge_litert", extra=None,
    )  # fmt: skip


def run_tiny(module: Any) -> None:
    """Run the tiny model with `module.Interpreter`. Raises RuntimeError where the answer is wrong, else what it raises."""
    interpreter = module.Interpreter(model_content=TINY_MODEL)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.array([1.0, 2.5], np.float32))
    interpreter.invoke()
    made = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    if made.tolist() != [2.0, 5.0]:
        raise RuntimeError(f"1 + 1 gave {made[0]}, 2.5 + 2.5 gave {made[1]}")
