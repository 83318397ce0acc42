"""Ways to write an LSTM in TFLite: its steps unrolled, loops of one or more steps, the fused operator. Prints JSON.

    python benchmarks/recurrent_forms.py [--sizes 64x40x128,16x16x32] [--batches 1,8] [--processes 3] [--rounds 30]

A size is STEPSxFEATURESxHIDDEN. Per size and form: bytes, operators, milliseconds (the median call, LiteRT with XNNPACK at
one thread, all forms in turn within each of several processes) at each batch, seconds to open the file, the largest
difference from ONNX Runtime, and `left over`: how far the second call on the same input is off when another input came
between, and when that one held a NaN.

The batch is open but in the fused forms. `converter` is what the converter chooses for a fixed time, `open time` for an
open one; `8 a round` is a WHILE whose body has 8 steps. `fused` is UNIDIRECTIONAL_SEQUENCE_LSTM, its state as LiteRT
leaves it; `fused, wiped` goes one step more, in front, in which a further feature of 1 drives the input and forget gates
to 0. Decision page 9 (docs/decisions) is drawn from this.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx
from mlpack_edge.converters.tflite_from_onnx.emitter import Emitter
from mlpack_edge.converters.tflite_from_onnx.operators import recurrent_layer
from mlpack_edge.converters.tflite_from_onnx.passes.run import improve
from mlpack_edge.converters.tflite_graph.model import Tensor
from mlpack_edge.converters.tflite_graph.write import write_tflite
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from mlpack_edge.runtimes.onnxruntime import open_session

HERE = Path(__file__).parent
#: exp(-1e4) is 0 in float32.
CLOSED = -1e4
Array = np.ndarray[Any, Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype(np.float32)


def weights(features: int, hidden: int) -> tuple[Array, Array, Array]:
    """W, R and Wb of the gates i, o, f, c, as PyTorch draws them."""
    scale = np.float32(hidden**-0.5)
    return numbers(4 * hidden, features) * scale, numbers(4 * hidden, hidden) * scale, numbers(4 * hidden) * scale


def lstm(steps: int | str, batch: int | str, features: int, hidden: int) -> onnx.ModelProto:
    """x `[steps, batch, features]` -> y `[steps, 1, batch, hidden]`."""
    w, r, b = weights(features, hidden)
    held = {"w": w[None], "r": r[None], "b": np.concatenate([b, 0 * b])[None]}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=hidden)],
        "lstm",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [steps, batch, features])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [steps, 1, batch, hidden])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def ours(steps: int | str, batch: int | str, features: int, hidden: int, each: int | None) -> bytes:
    """each: the steps of a round; all of them make no loop. None: as the converter does it."""
    model = lstm(steps, batch, features, hidden)
    with nullcontext() if each is None else patch.object(recurrent_layer.Layer, "_each", lambda *_: each):
        return tflite_from_onnx(model, derived_signature(model)).data


def fused(steps: int, batch: int, features: int, hidden: int, *, wiped: bool) -> bytes:
    emitter = Emitter()
    x = Tensor("x", "float32", (steps, batch, features))
    emitter.graph.inputs.append(x)
    w, r, b = weights(features, hidden)
    i, o, f, c = range(4)
    if wiped:
        padding = np.array([[1, 0], [0, 0], [0, 0]], np.int32)
        mark = np.zeros((steps + 1, batch, 1), np.float32)
        mark[0] = 1
        x = emitter.emit("PAD", [x, padding], "float32", (steps + 1, batch, features))
        x = emitter.emit("CONCATENATION", [x, mark], "float32", (steps + 1, batch, features + 1), axis=2)
        column = np.zeros((4 * hidden, 1), np.float32)
        column[i * hidden : (i + 1) * hidden] = column[f * hidden : (f + 1) * hidden] = CLOSED
        w = np.concatenate([w, column], 1)

    def gate(array: Array, place: int) -> Tensor:
        return emitter.tensor_of(array[place * hidden : (place + 1) * hidden])

    order = (i, f, c, o)
    states = [Tensor(name, "float32", (batch, hidden), variable=True) for name in ("h", "c")]
    none = [None] * 3
    inputs = [x, *(gate(w, g) for g in order), *(gate(r, g) for g in order), *none, *(gate(b, g) for g in order)]
    length = steps + 1 if wiped else steps
    options = {"fused_activation_function": "TANH", "time_major": True}
    kind = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    inputs += [None, None, *states, *[None] * 4]
    y = emitter.emit(kind, inputs, "float32", (length, batch, hidden), **options)
    if wiped:
        cut = [np.array(ends, np.int32) for ends in ([1, 0, 0], [0, 0, 0], [1, 1, 1])]
        masks = {"begin_mask": 6, "end_mask": 7, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
        y = emitter.emit("STRIDED_SLICE", [y, *cut], "float32", (steps, batch, hidden), **masks)
    y = emitter.emit(
        "RESHAPE", [y, np.array([steps, 1, batch, hidden], np.int32)], "float32", (steps, 1, batch, hidden)
    )
    y.name = "y"
    emitter.graph.outputs.append(y)
    improve(emitter.graph)
    return write_tflite(emitter.graph, {})


def opened(data: bytes, shape: tuple[int, ...]) -> tuple[Any, float]:
    start = time.perf_counter()
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    interpreter.allocate_tensors()
    return interpreter, time.perf_counter() - start


def facts(data: bytes, batch: int, size: tuple[int, int, int], reference: onnx.ModelProto) -> dict[str, Any]:
    steps, features, _ = size
    interpreter, seconds = opened(data, (steps, batch, features))

    def called(x: Array) -> Array:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        made: Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        return made

    x, other = (numbers(steps, batch, features, seed=seed) for seed in (1, 2))
    spoilt = other.copy()
    spoilt[-1, 0, 0] = np.nan
    first = called(x)
    called(other)
    second = called(x)
    called(spoilt)
    third = called(x)
    wanted = open_session(reference.SerializeToString()).run(None, {"x": x})[0]
    return {
        "seconds to open": round(seconds, 4),
        "max_abs": float(np.abs(first - wanted).max()),
        "left over": [str(np.abs(first - again).max()) for again in (second, third)],
    }


def milliseconds(forms: dict[str, bytes], shape: tuple[int, ...], processes: int, rounds: int) -> dict[str, float]:
    """Each form's median call, with its input fixed at `shape`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {str(Path(folder, f"{place}.tflite")): name for place, name in enumerate(forms)}
        for path, name in paths.items():
            Path(path).write_bytes(forms[name])
        runs = []
        for seed in range(processes):
            line = [sys.executable, str(HERE / "interleaved.py"), "time", *paths, "--rounds", str(rounds)]
            line += ["--seed", str(seed), "--shape", ",".join(map(str, shape))]
            done = subprocess.run(
                line, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            runs.append(json.loads(done.stdout))
    return {
        name: round(float(np.median([number for run in runs for number in run[path]])) / 1e6, 4)
        for path, name in paths.items()
    }


def measure(size: tuple[int, int, int], batches: list[int], processes: int, rounds: int) -> dict[str, Any]:
    steps, features, hidden = size
    free = {"unrolled": ours(steps, "batch", features, hidden, steps)}
    free |= {f"{each} a round": ours(steps, "batch", features, hidden, each) for each in (1, 4, 16)}
    free["converter"] = ours(steps, "batch", features, hidden, None)
    free["open time"] = ours("time", "batch", features, hidden, None)
    made: dict[str, Any] = {}
    for batch in batches:
        forms = free | {
            "fused": fused(steps, batch, features, hidden, wiped=False),
            "fused, wiped": fused(steps, batch, features, hidden, wiped=True),
        }
        times = milliseconds(forms, (steps, batch, features), processes, rounds)
        reference = lstm(steps, batch, features, hidden)
        made[f"batch {batch}"] = {
            name: {"bytes": len(data), "milliseconds": times[name]} | facts(data, batch, size, reference)
            for name, data in forms.items()
        }
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="64x40x128,16x16x32,256x40x64,64x64x256")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    found = {}
    for text in options.sizes.split(","):
        steps, features, hidden = (int(part) for part in text.split("x"))
        batches = [int(part) for part in options.batches.split(",")]
        found[text] = measure((steps, features, hidden), batches, options.processes, options.rounds)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
