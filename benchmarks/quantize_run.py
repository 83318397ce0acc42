"""Run one model file on rows, a row a call, in a process of its own: a bad file may kill it.

    python benchmarks/quantize_run.py FILE ROWS.npz OUTPUTS.npz

One thread. The outputs, by name, have the rows in front: `[rows, ...]` of what one call gives. An int8 input or output of
a TFLite file is coded and decoded by its own scale.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Rows = dict[str, Array]
Runner = Callable[[Rows], Rows]


def opened(path: Path) -> Runner:
    return opened_tflite(path) if path.suffix == ".tflite" else opened_onnx(path)


def opened_onnx(path: Path | bytes) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_outputs()]
    return lambda row: dict(zip(names, session.run(names, row), strict=True))


def opened_tflite(path: Path) -> Runner:
    interpreter, outputs, set_row = tflite(path)

    def run(row: Rows) -> Rows:
        set_row(row)
        interpreter.invoke()
        return {name: _decoded(interpreter.get_tensor(entry["index"]), entry) for name, entry in outputs.items()}

    return run


def tflite(path: Path) -> tuple[Any, dict[str, Any], Callable[[Rows], None]]:
    """The interpreter, its outputs by the names of its signature, and what sets a row."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    key = next(iter(interpreter.get_signature_list()))
    runner = interpreter.get_signature_runner(key)
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    shapes: dict[str, tuple[int, ...]] = {}

    def set_row(row: Rows) -> None:
        now = {name: row[name].shape for name in inputs}
        if now != shapes:
            for name, entry in inputs.items():
                interpreter.resize_tensor_input(entry["index"], now[name])
            interpreter.allocate_tensors()
            shapes.update(now)
        for name, entry in inputs.items():
            interpreter.set_tensor(entry["index"], _coded(row[name], entry))

    return interpreter, outputs, set_row


def _coded(array: Array, entry: Any) -> Array:
    if array.dtype == entry["dtype"]:
        return array
    scale, zero = entry["quantization"]
    if scale:
        limits = np.iinfo(entry["dtype"])
        return np.clip(np.round(array / scale) + zero, limits.min, limits.max).astype(entry["dtype"])
    return array.astype(entry["dtype"])


def _decoded(array: Array, entry: Any) -> Array:
    scale, zero = entry["quantization"]
    return (array.astype(np.float32) - zero) * np.float32(scale) if scale and array.dtype.kind == "i" else array


def answers(run: Runner, rows: Rows) -> Rows:
    """By output `[rows, ...]`."""
    count = len(next(iter(rows.values())))
    each = [run({name: array[at : at + 1] for name, array in rows.items()}) for at in range(count)]
    return {name: np.stack([one[name] for one in each]) for name in each[0]}


def main() -> None:
    path, rows, made = (Path(argument) for argument in sys.argv[1:])
    with np.load(rows) as arrays:
        found = answers(opened(path), dict(arrays))
    np.savez(made, **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
