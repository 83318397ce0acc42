"""The same session and binding timed by MLPerf LoadGen (SingleStream) and by the agent's clock, in turn, in one process.

    python -m venv loadgen && loadgen/bin/pip install mlcommons-loadgen onnxruntime==1.31.1 numpy
    loadgen/bin/python benchmarks/loadgen_single_stream.py AGENT.py MODEL.onnx ROUNDS SECONDS

Runs in an environment of its own, for LoadGen is no dependency of ours. AGENT.py: what `agent_source()` gives. Prints
JSON: the median of each round in ns, for LoadGen (its own "50.00 percentile latency", from issuing to completion, the
callback into Python in it), for the clock, and for the bare call between two readings of the time.
"""

from __future__ import annotations

import importlib.util
import json
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mlperf_loadgen as loadgen
import numpy as np


def agent(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("agent", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_loadgen(call: Any, seconds: float) -> float:
    answer = np.zeros(1, np.float32)
    place, size = answer.ctypes.data, answer.nbytes

    def issue(samples: Any) -> None:
        for sample in samples:
            call()
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, place, size)])

    settings = loadgen.TestSettings()
    settings.scenario = loadgen.TestScenario.SingleStream
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = settings.max_duration_ms = int(seconds * 1000)
    settings.min_query_count = 100
    under_test = loadgen.ConstructSUT(issue, lambda: None)
    library = loadgen.ConstructQSL(1, 1, lambda samples: None, lambda samples: None)
    with tempfile.TemporaryDirectory() as folder:
        output = loadgen.LogOutputSettings()
        output.outdir = folder
        output.copy_summary_to_stdout = False
        logging = loadgen.LogSettings()
        logging.log_output = output
        logging.enable_trace = False
        loadgen.StartTestWithLogSettings(under_test, library, settings, logging)
        summary = Path(folder, "mlperf_log_summary.txt").read_text(encoding="utf-8")
    loadgen.DestroyQSL(library)
    loadgen.DestroySUT(under_test)
    found = re.search(r"50\.00 percentile latency \(ns\)\s*:\s*(\d+)", summary)
    if found is None:
        raise SystemExit("LoadGen's summary holds no 50.00 percentile latency:\n" + summary)
    return float(found[1])


def bare(call: Any, seconds: float) -> float:
    samples, now = [], time.perf_counter_ns
    until = now() + seconds * 1e9
    stop = 0
    while stop < until:
        start = now()
        call()
        stop = now()
        samples.append(stop - start)
    return statistics.median(samples)


def main() -> None:
    source, model, rounds, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    parts = agent(source)
    opened = parts.OnnxModel(model, 1, False)
    wanted = opened.session.get_inputs()[0]
    feeds = {wanted.name: np.random.default_rng(0).random(wanted.shape, dtype=np.float32)}
    steps = opened.calls([feeds], [opened.answer(feeds)])
    clock = parts.Clock(steps, 1)
    clock.warm_up()
    call = steps[0][1]
    found: dict[str, list[float]] = {"loadgen": [], "clock": [], "bare": []}
    for _ in range(rounds):
        found["loadgen"].append(by_loadgen(call, seconds))
        found["clock"].append(statistics.median(clock.turn(seconds, 1_000_000)["samples_ns"]))
        found["bare"].append(bare(call, seconds))
    print(json.dumps({"io": opened.io, "median_ns_by_round": found}))


if __name__ == "__main__":
    main()
