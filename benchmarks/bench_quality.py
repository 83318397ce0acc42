"""How good the figures of `mlpack bench` are, on this machine with a load made on purpose.

    python benchmarks/bench_quality.py [difference] [repeat] [overhead] [instructions] [conditions] [--quick]
        [--trials 100] [--load N] [--loadgen PYTHON]

Prints one JSON document. Without names all measures but `instructions`, which needs `mlpack target setup emulated:pi4`.

- difference: each trial measures a model, a copy of it, and one of 10 % more identical layers, in one run, by a short
  plan (5 processes, 1 s a model). Wanted: copies "no difference" or "unclear" in 98 of 100, "slower" in 90 of 100.
- repeat: the coefficient of variation over 8 launches of the isolated median of a model of about 2 ms. Wanted: under 1 %.
- overhead: what the loop and io binding cost, and the clock against MLPerf LoadGen in one process (--loadgen: the Python
  of an environment that has it, see loadgen_single_stream.py). Wanted: under 3 us, within 3 us at the median.
- instructions: counts of 5 launches on emulated:pi4. Wanted: equal to 0.1 %.
- conditions: first call, calls until settled, clean and quiet samples, and two threads with and without spinning.

--load: busy processes beside the measurement [as many as processors], see machine_load.py; 0 for none.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from machine_load import Load
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.devices.targets.agent.clock import Clock
from mlpack_edge.devices.targets.agent.models import IDENTITY, OnnxModel
from mlpack_edge.devices.targets.agent.source import agent_source
from mlpack_edge.devices.targets.agent.turns import ProbeFloor
from mlpack_edge.devices.targets.target import Refused, TargetOptions, open_target
from mlpack_edge.runtimes.measuring.comparison import compare
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, prepare
from mlpack_edge.runtimes.measuring.result import BenchResult

Json = dict[str, Any]
HERE = Path(__file__).parent
SHORT = Plan(seconds=1.0)


def layers(path: Path, count: int, kind: str) -> Path:
    """`count` equal layers after each other: "dense" 64 rows of 128 by 128 with Relu, "conv" 3x3 of 32 channels, 32x32."""
    draw = np.random.default_rng(0)
    shape, size = ([64, 128], (128, 128)) if kind == "dense" else ([1, 32, 32, 32], (32, 32, 3, 3))
    nodes, weights = [], []
    for place in range(count):
        spread = np.sqrt(2 / np.prod(size[1:]))
        weights.append(numpy_helper.from_array((draw.standard_normal(size) * spread).astype(np.float32), f"w{place}"))
        names, made = [f"r{place - 1}" if place else "x", f"w{place}"], [f"m{place}"]
        if kind == "dense":
            nodes.append(helper.make_node("MatMul", names, made))
        else:
            nodes.append(helper.make_node("Conv", names, made, pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", made, [f"r{place}" if place + 1 < count else "y"]))
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in ("x", "y")]
    graph = helper.make_graph(nodes, kind, *ends, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def measured(models: list[PreparedModel], plan: Plan, target: str = "local") -> list[BenchResult]:
    opened = open_target(target, TargetOptions())
    try:
        results = opened.bench(models, plan)
    finally:
        opened.close()
    for result in results:
        if isinstance(result, Refused):
            raise result.error
    return [result for result in results if isinstance(result, BenchResult)]


def difference(folder: Path, options: argparse.Namespace) -> Json:
    first = layers(folder / "a.onnx", 20, "dense")
    models = [first, Path(shutil.copy(first, folder / "copy.onnx")), layers(folder / "b.onnx", 22, "dense")]
    prepared = [prepare(path) for path in models]
    trials = []
    for seed in range(options.trials):
        start = time.perf_counter()
        same, copy, slower = measured(prepared, Plan(seconds=SHORT.seconds, seed=seed))
        seconds = time.perf_counter() - start
        found = {
            "seconds": round(seconds, 1),
            "clean": same.clean_share,
            "quiet": same.quiet_share,
            "by": same.isolation,
        }
        for name, other in (("copy", copy), ("slower", slower)):
            one = compare(same, other, paired=True)
            found[name] = {"verdict": one.verdict, "ratio": one.ratio, "ci95": one.ci95, "view": one.view}
        trials.append(found)
        tell(f"trial {seed + 1}: copy {found['copy']['verdict']}, slower {found['slower']['verdict']}, {seconds:.0f} s")
    verdicts = {name: [trial[name]["verdict"] for trial in trials] for name in ("copy", "slower")}
    return {
        "trials": len(trials),
        "a_against_a": {verdict: verdicts["copy"].count(verdict) for verdict in sorted(set(verdicts["copy"]))},
        "a_against_10_percent_more": {
            verdict: verdicts["slower"].count(verdict) for verdict in sorted(set(verdicts["slower"]))
        },
        "spread_of_ratio": {
            name: {"mean": statistics.fmean(ratios), "sd": statistics.stdev(ratios) if len(ratios) > 1 else None}
            for name, ratios in ((name, [trial[name]["ratio"] for trial in trials]) for name in ("copy", "slower"))
        },
        "seconds_per_trial": statistics.median(trial["seconds"] for trial in trials),
        "each": trials,
    }


def repeat(folder: Path, options: argparse.Namespace) -> Json:
    models = [prepare(layers(folder / "conv.onnx", 12, "conv")), prepare(layers(folder / "wide.onnx", 96, "dense"))]
    found: Json = {"launches": 8, "runs": []}
    for run in range(1 if options.quick else 3):
        for model in models:
            (result,) = measured([model], Plan(processes=8, seconds=8.0, seed=run))
            kinds = {
                kind: spread([np.concatenate(launch.blocks(kind)) for launch in result.launches])
                for kind in ("experienced", "clean", "quiet")
            }
            record = {"model": Path(model.name).stem, "isolated_by": result.isolation, **kinds}
            record["quiet_within"] = result.environment["quiet_within"]
            record["isolated"] = record[result.isolation]
            record |= {"clean_share": result.clean_share, "quiet_share": result.quiet_share}
            found["runs"].append(record)
            tell(f"{record['model']}: isolated by {result.isolation}, {record['isolated']}")
    return found


def spread(launches: list[Any]) -> Json:
    medians = [float(np.median(samples)) for samples in launches if samples.size >= 10]
    return {
        "cv_percent": 100 * statistics.stdev(medians) / statistics.fmean(medians) if len(medians) > 1 else None,
        "medians_us": [round(median / 1e3, 1) for median in medians],
    }


def overhead(folder: Path, options: argparse.Namespace) -> Json:
    identity = folder / "identity.onnx"
    identity.write_bytes(IDENTITY)
    feeds = {"x": np.ones(1, np.float32)}
    clocks = {"nothing": Clock([(None, partial(int))], 1)}
    for io in ("binding", "run"):
        opened = OnnxModel(str(identity), 1, False, "", io)
        clocks[io] = Clock(opened.calls([feeds], [opened.answer(feeds)]), 1)
    for clock in clocks.values():
        clock.warm_up()
    floor, turns = ProbeFloor(), []
    for name, clock in [*clocks.items()] * 50:
        turns.append((name, clock.turn(0.01, 1_000_000)))
        floor.see(turns[-1][1])
    samples: dict[str, list[int]] = {name: [] for name in clocks}
    for name, turn in turns:
        samples[name] += [one for one, quiet in zip(turn["samples_ns"], floor.quiet(turn), strict=True) if quiet == "1"]
    found: Json = {f"{name}_ns": statistics.median(own) for name, own in samples.items()}
    found["loop_ns"] = found.pop("nothing_ns")
    found["of_onnxruntime_binding_ns"] = found["binding_ns"] - found["loop_ns"]
    (result,) = measured([prepare(identity)], Plan(seconds=1.0))
    found["harness_floor_ns"] = result.harness_floor_ns
    found["loadgen"] = loadgen(folder, identity, options) if options.loadgen else "not measured: no --loadgen"
    return found


def loadgen(folder: Path, identity: Path, options: argparse.Namespace) -> Json:
    agent = folder / "agent.py"
    agent.write_bytes(agent_source())
    found = {}
    for name, model in (("identity", identity), ("dense", layers(folder / "small.onnx", 2, "dense"))):
        command = [options.loadgen, HERE / "loadgen_single_stream.py", agent, model, "3" if options.quick else "9", "1"]
        made = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
        rounds = json.loads(made.stdout.splitlines()[-1])["median_ns_by_round"]
        found[name] = {f"{who}_ns": statistics.median(values) for who, values in rounds.items()}
        apart = [ours - theirs for ours, theirs in zip(rounds["clock"], rounds["loadgen"], strict=True)]
        found[name] |= {"clock_less_loadgen_ns": statistics.median(apart), "rounds": rounds}
    return found


def instructions(folder: Path, options: argparse.Namespace) -> Json:
    model = prepare(layers(folder / "conv.onnx", 2, "conv"))
    totals = []
    for _ in range(5):
        (result,) = measured([model], Plan(processes=1), "emulated:pi4")
        assert result.instructions is not None
        totals.append(result.instructions["total"])
        tell(f"{totals[-1]:,} instructions")
    return {"totals": totals, "largest_difference_percent": 100 * (max(totals) / min(totals) - 1)}


def conditions(folder: Path, options: argparse.Namespace) -> Json:
    model = prepare(layers(folder / "conv.onnx", 12, "conv"))
    found: Json = {}
    for name, plan in (
        ("one thread", Plan(seconds=2.0)),
        ("two threads", Plan(seconds=2.0, threads=2)),
        ("two threads, spinning", Plan(seconds=2.0, threads=2, spinning=True)),
    ):
        (result,) = measured([model], plan)
        record = result.to_json()
        found[name] = {
            "p50_ns": record["latency_ns"]["p50"],
            "isolated_p50_ns": record["isolated_ns"]["p50"],
            "first_call_over_p50": record["first_call_ns"] / record["latency_ns"]["p50"],
            "warm_up_calls": [launch.warm_up_calls for launch in result.launches],
            "settled": sum(launch.settled for launch in result.launches),
            "clean_share": result.clean_share,
            "quiet_share": result.quiet_share,
            "verdict": result.verdict,
        }
        tell(f"{name}: {found[name]}")
    return found


MEASURES: dict[str, Callable[[Path, argparse.Namespace], Json]] = {
    "overhead": overhead,
    "repeat": repeat,
    "conditions": conditions,
    "difference": difference,
    "instructions": instructions,
}


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def machine() -> Json:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor(),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "load_average": os.getloadavg(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: 5 trials, one run")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--load", type=int, default=os.cpu_count())
    parser.add_argument("--loadgen", type=Path)
    options = parser.parse_args()
    unknown = set(options.measures) - MEASURES.keys()
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    options.trials = options.trials or (5 if options.quick else 100)
    wanted = options.measures or [name for name in MEASURES if name != "instructions"]
    document: Json = {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder, Load(options.load) as load:
        document["load"] = load.description
        for name, measure in MEASURES.items():
            if name in wanted:
                document[name] = measure(Path(folder), options)
    document["load_average_after"] = os.getloadavg()
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
