"""Run or time TFLite files with LiteRT at one thread, in a process of its own: a bad file may kill it.

    python benchmarks/interleaved.py run FILE.tflite INPUTS.npz OUTPUTS.npz
    python benchmarks/interleaved.py time --rounds 60 --seed 0 FILE.tflite ...

`run` gives the only input each array of INPUTS in turn, resizing where the size differs, and writes the first output
of each under the same name; what LiteRT refuses is left out and printed as JSON by name. Each array is the second call
of its interpreter, behind one with other numbers, so that a state left over from call to call shows.

`time` prints JSON: by file, the median call in nanoseconds of each round. In a round every file is called for about
`BLOCK` seconds, in an order drawn anew, so that what else the machine does falls on all alike. Only the call is
timed, not the copying of inputs.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

#: Long enough that the caches belong to the file for most calls, short against the machine's moods.
BLOCK = 0.008
WARM_UP = 0.1


def run(path: str, inputs: Path, outputs: Path) -> dict[str, str]:
    made, refused = {}, {}
    with np.load(inputs) as arrays:
        for name in arrays.files:
            interpreter = Interpreter(path, num_threads=1)
            entry = interpreter.get_input_details()[0]
            try:
                if tuple(entry["shape"]) != arrays[name].shape:
                    interpreter.resize_tensor_input(entry["index"], arrays[name].shape)
                interpreter.allocate_tensors()
                for numbers in (-arrays[name], arrays[name]):
                    interpreter.set_tensor(entry["index"], numbers)
                    interpreter.invoke()
                made[name] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
            except (RuntimeError, ValueError) as fault:
                refused[name] = str(fault).splitlines()[0]
    np.savez(outputs, **made)
    return refused


def ready(path: str, seed: int, shape: list[int] | None) -> Any:
    interpreter = Interpreter(path, num_threads=1)
    if shape is not None:
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        numbers = np.random.default_rng(seed).standard_normal(entry["shape"])
        interpreter.set_tensor(entry["index"], numbers.astype(entry["dtype"]))
    return interpreter


def calls_for(interpreter: Any, seconds: float) -> list[int]:
    """Nanoseconds of each call, for about so many seconds and at least three calls."""
    samples: list[int] = []
    while sum(samples) < seconds * 1e9 or len(samples) < 3:
        start = time.perf_counter_ns()
        interpreter.invoke()
        samples.append(time.perf_counter_ns() - start)
    return samples


def timed(paths: list[str], rounds: int, seed: int, shape: list[int] | None = None) -> dict[str, list[float]]:
    order = random.Random(seed)
    opened = order.sample(paths, len(paths))  # who lies where in memory must not always favour the same
    interpreters = {path: ready(path, seed, shape) for path in opened}
    for path in opened:
        calls_for(interpreters[path], WARM_UP)
    medians: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(rounds):
        for path in order.sample(paths, len(paths)):
            medians[path].append(statistics.median(calls_for(interpreters[path], BLOCK)))
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    runs = verbs.add_parser("run")
    runs.add_argument("file")
    runs.add_argument("inputs", type=Path)
    runs.add_argument("outputs", type=Path)
    times = verbs.add_parser("time")
    times.add_argument("files", nargs="+")
    times.add_argument("--rounds", type=int, default=60)
    times.add_argument("--seed", type=int, default=0)
    times.add_argument("--shape", help="1,64,40: of the first input, where that is open")
    options = parser.parse_args()
    if options.verb == "run":
        print(json.dumps(run(options.file, options.inputs, options.outputs)))
    else:
        shape = [int(size) for size in options.shape.split(",")] if options.shape else None
        print(json.dumps(timed(options.files, options.rounds, options.seed, shape)))


if __name__ == "__main__":
    main()
