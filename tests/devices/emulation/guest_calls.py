"""Run by a guest: call a model, with the calls between the marks of the counting plugin.

usage: guest_calls.py MODEL CALLS. The input is models.X, made anew. Prints the output's SHA-256.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np


def _opened(path: str) -> tuple[Callable[[], Any], Callable[[], bytes]]:
    """(call, read the output)"""
    x = np.random.default_rng(0).integers(-60, 60, (64, 64))
    if path.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = {"x": x.astype({"tensor(float)": "f4", "tensor(int8)": "i1"}[session.get_inputs()[0].type])}
        return lambda: session.run(None, feeds), lambda: session.run(None, feeds)[0].tobytes()
    name = "ai_edge_litert" if find_spec("ai_edge_litert") else "tflite_runtime"
    interpreter = import_module(f"{name}.interpreter").Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x.astype("f4"))
    return interpreter.invoke, lambda: interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).tobytes()


def main() -> None:
    call, read = _opened(sys.argv[1])
    for _ in range(3):
        call()
    calls = range(int(sys.argv[2]))
    with suppress(OSError):
        os.close(-7001)
    for _ in calls:
        call()
    with suppress(OSError):
        os.close(-7002)
    print(hashlib.sha256(read()).hexdigest())


main()
