"""Time ONNX and TFLite files of one model against each other, in a process of its own, at one thread and batch 1.

    python benchmarks/quantize_latency.py ROWS.npz --rounds 9 --seed 0 FILE ...

Prints JSON: by file, the median call in nanoseconds of each round. In a round every file is called for about `BLOCK`
seconds, in an order drawn anew, so that what else the machine does falls on all alike. A call of ONNX Runtime takes and
gives arrays, as there is no other way; one of LiteRT is the invocation alone.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from quantize_run import Rows, opened_onnx, tflite

BLOCK = 0.01
WARM_UP = 0.08


def ready(path: Path, row: Rows) -> Callable[[], object]:
    if path.suffix == ".tflite":
        interpreter, _, set_row = tflite(path)
        set_row(row)
        invoke: Callable[[], object] = interpreter.invoke
        return invoke
    run = opened_onnx(path)
    return lambda: run(row)


def calls_for(call: Callable[[], object], seconds: float) -> list[int]:
    """Nanoseconds of each call, for about so many seconds and at least two calls."""
    samples: list[int] = []
    while len(samples) < 2 or sum(samples) < seconds * 1e9:
        start = time.perf_counter_ns()
        call()
        samples.append(time.perf_counter_ns() - start)
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with np.load(asked.rows) as arrays:
        row = {name: arrays[name][:1] for name in arrays.files}
    order = random.Random(asked.seed)
    calls = {path: ready(Path(path), row) for path in order.sample(asked.files, len(asked.files))}
    for call in calls.values():
        calls_for(call, WARM_UP)
    medians: dict[str, list[float]] = {path: [] for path in asked.files}
    for _ in range(asked.rounds):
        for path in order.sample(asked.files, len(asked.files)):
            medians[path].append(statistics.median(calls_for(calls[path], BLOCK)))
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
