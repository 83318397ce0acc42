"""Stands in for TensorFlow Lite's `benchmark_model`, which no package has: takes its options, prints its lines.

It runs the model with ai-edge-litert and times it, so that what is said of a model is true of it. The lines are those of
LiteRT's tflite/tools/benchmark of 2026 (benchmark_model.cc, benchmark_tflite_model.cc) and of the statistics behind them.
Three files that are no models say what should go wrong: SEGV, SLEEP, FEWER.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    options = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
    block = Path(options["graph"]).read_bytes()
    threads = "4" if block.startswith(b"FEWER") else options["num_threads"]
    print("INFO: STARTING!")
    print("INFO: Log parameter values verbosely: [0]")
    print(f"INFO: Min num runs: [{options['num_runs']}]")
    print(f"INFO: Num threads: [{threads}]")
    print(f"INFO: Graph: [{options['graph']}]")
    print(f"INFO: Input value files: [{options['input_layer_value_files']}]")
    print(f"INFO: #threads used for CPU inference: [{threads}]", flush=True)
    if block.startswith(b"SEGV"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if block.startswith(b"SLEEP"):
        time.sleep(60)
    return _measure(options, b"" if block.startswith(b"FEWER") else block)


def _measure(options: dict[str, str], block: bytes) -> int:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    start = time.perf_counter_ns()
    try:
        from mlpack_edge.runtimes.litert.library import TINY_MODEL

        interpreter = Interpreter(model_content=block or TINY_MODEL, num_threads=int(options["num_threads"]))
    except ValueError:
        print(f"ERROR: Failed to load model {options['graph']}", file=sys.stderr)
        print("ERROR: Benchmarking failed.", file=sys.stderr)
        return 1
    print(f"INFO: Loaded model {options['graph']}")
    print("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", file=sys.stderr)
    inputs = interpreter.get_input_details()
    if block:
        shapes = [tuple(map(int, shape.split(","))) for shape in options["input_layer_shape"].split(":")]
        files = [pair.split(":")[1] for pair in options["input_layer_value_files"].split(",")]
        for found, shape in zip(inputs, shapes, strict=True):
            interpreter.resize_tensor_input(found["index"], shape)
    interpreter.allocate_tensors()
    init = (time.perf_counter_ns() - start) // 1000
    if block:
        for found, shape, file in zip(inputs, shapes, files, strict=True):
            values = Path(file).read_bytes()
            if len(values) != int(np.prod(shape)) * np.dtype(found["dtype"]).itemsize:
                print(f"FATAL: The size of {file} is {len(values)} bytes.", file=sys.stderr, flush=True)
                os.abort()
            interpreter.set_tensor(found["index"], np.frombuffer(values, found["dtype"]).reshape(shape))
    print(f"INFO: The input model file size (MB): {len(block) / 1e6}")
    print(f"INFO: Initialized session in {init / 1e3}ms.")
    warm_up = _run(interpreter, 1, 0.05)
    timed = _run(interpreter, int(options["num_runs"]), float(options["min_secs"]))
    print(
        f"INFO: Inference timings in us: Init: {init}, First inference: {warm_up[0]}, "
        f"Warmup (avg): {np.mean(warm_up):g}, Inference (avg): {np.mean(timed):g}"
    )
    print("INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE [...]")
    print("INFO: Memory footprint delta from the start of the tool (MB): init=5.89844 overall=9.46094")
    if options.get("report_peak_memory_footprint") == "true":
        print("INFO: Overall peak memory footprint (MB) via periodic monitoring: 12.5")
    if "output_filepath" in options:
        outputs = interpreter.get_output_details()
        Path(options["output_filepath"]).write_bytes(
            b"".join(interpreter.get_tensor(found["index"]).tobytes() for found in outputs)
        )
    if options.get("enable_op_profiling") == "true":
        Path(options["profiling_output_csv_file"]).write_text(PROFILE)
    return 0


def _run(interpreter: object, least: int, seconds: float) -> list[int]:
    found: list[int] = []
    end = time.perf_counter() + seconds
    while len(found) < least or time.perf_counter() < end:
        start = time.perf_counter_ns()
        interpreter.invoke()  # type: ignore[attr-defined]
        found.append((time.perf_counter_ns() - start) // 1000)
    print(
        f"INFO: Running benchmark for at least {least} iterations and at least {seconds} seconds but terminate if [...]"
    )
    print(f"INFO: {statistics_line(found)}\n", flush=True)
    return found


def statistics_line(found: list[int]) -> str:
    """As Stat and StatWithPercentiles write it (tsl/util/stats_calculator.h)."""
    count, ordered = len(found), sorted(found)
    five, median, ninety_five = (ordered[count * part // 100] for part in (5, 50, 95))
    ends = f" p5={five} median={median} p95={ninety_five}"
    if ordered[0] == ordered[-1]:
        return f"count={count} curr={found[-1]}{'(all same)' if count > 1 else ''}{ends}"
    mean = sum(found) / count
    deviation = int((sum(value * value for value in found) / count - mean * mean) ** 0.5)
    return f"count={count} first={found[0]} curr={found[-1]} min={ordered[0]} max={ordered[-1]} avg={mean:g} std={deviation}{ends}"


#: As ProfileSummaryCSVFormatter and StatsCalculator write it.
PROFILE = """Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
ModifyGraphWithDelegate, 1.2, 1.2, 90%, 90%, 0, 1, ModifyGraphWithDelegate/0

Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
TfLiteXNNPackDelegate, 0.31, 0.25, 62.5%, 62.5%, 0, 1, [dense/a\tdense/b]:7
SOFTMAX, 0.16, 0.15, 37.5%, 100%, 0, 1, [y]:6

============================== Top by Computation Time ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
TfLiteXNNPackDelegate, 0.31, 0.25, 62.5%, 62.5%, 0, 1, [dense/a\tdense/b]:7

Number of nodes executed: 2
============================== Summary by node type ==============================
node type, count, avg_ms, avg %, cdf %, mem KB, times called
TfLiteXNNPackDelegate, 1, 0.25, 62.5%, 62.5%, 0, 1

Timings (microseconds): count=9 first=470 curr=400 min=390 max=470 avg=400 std=20
Memory (bytes): count=0
2 nodes observed

Delegate internal:
============================== Run Order ==============================
node type, first, avg_ms, %, cdf%, mem KB, times called, name
Delegate/Fully Connected (NC, F32) GEMM:0, 0.30, 0.24, 100%, 100%, 0, 1, Delegate/Fully Connected (NC\t F32) GEMM:0

"""

if __name__ == "__main__":
    sys.exit(main())
