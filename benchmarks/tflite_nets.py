"""Seven nets exported from PyTorch, lowered to TFLite: right, small, and as quick as the leanest peer's file? Prints JSON.

    python benchmarks/tflite_nets.py [--peers DIR] [--only NAME] [--processes 16] [--rounds 15] [--keep DIR]
    python benchmarks/tflite_nets.py --export DIR         NAME.onnx and NAME.b1.onnx (batch fixed at 1), for peers

The nets are those of edge_nets.py, exported with a free batch as `mlpack convert edge_nets:NAME` does. Per net:

- `batches`: the largest absolute difference from ONNX Runtime at batch 1, 2 and 7 on standard normal numbers, each file
  run in a process of its own. "static" where the converter says that the file has batch 1, and why (`notes`).
- `bytes` of the file, `operators` in it.
- with --peers DIR, every DIR/NAME.PEER.tflite (peer_tflite.py tells how to make them) that is right at batch 1; a peer
  may permute the axes of its input and output. `milliseconds` is each file's median call at batch 1, LiteRT with
  XNNPACK at one thread. All files of a net are called in turn in short blocks within each of many processes, so that
  the machine's other work falls on all alike; `ratio` is ours over the peer's, the median over rounds, with a 95 %
  interval from a bootstrap over processes and then rounds. `leanest` is the peer with the lowest median. `control` is
  the ratio of our file to a copy of itself: what the machine alone makes of equal files. Where the weights exceed a
  core's own cache (mlp, and recurrent layers written out, whose weights XNNPACK packs once a step) a process favours
  one file or the other by up to a tenth through where they lie in memory, and only many processes even that out.

Exit code 1 where a net is not right or not honestly static, or its ratio to the leanest peer is above 1.05.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import edge_nets
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mlpack_edge.converters.onnx_from_torch.convert import TorchOptions, convert
from mlpack_edge.core.errors import MlpackError
from mlpack_edge.runtimes.onnxruntime import open_session

HERE = Path(__file__).parent
BATCHES = (1, 2, 7)
#: The nets' numbers are below 1; float32 sums in another order differ by some 1e-6 of that.
TOLERANCE = 1e-5
#: What is allowed over the leanest peer.
ALLOWED = 1.05
Array = np.ndarray[Any, Any]


def child(*line: str) -> Any:
    """What interleaved.py prints; its death is an error to show, not to share."""
    command = [sys.executable, str(HERE / "interleaved.py"), *line]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise ValueError(f"LiteRT ends with {done.returncode}: {last}")
    return json.loads(done.stdout)


def outputs_of(path: Path, inputs: dict[str, Array]) -> tuple[dict[str, Array], dict[str, str]]:
    """The first output for each input, and LiteRT's reason where it refuses one."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        np.savez(given, **inputs)  # type: ignore[arg-type]
        refused = child("run", str(path), str(given), str(made))
        with np.load(made) as arrays:
            return dict(arrays), refused


def reference(model: bytes, rows: Array) -> Array:
    made: Array = open_session(model).run(None, {"x": rows})[0]
    return made


def rows_of(name: str, batch: int) -> Array:
    return np.random.default_rng(batch).standard_normal((batch, *edge_nets.SHAPES[name])).astype(np.float32)


def difference(wanted: Array, made: Array) -> float | str:
    return float(np.abs(wanted - made).max()) if made.shape == wanted.shape else f"shape {list(made.shape)}"


def entry_shape(path: Path) -> tuple[int, ...]:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    return tuple(int(size) for size in graph.tensors[graph.inputs[0]].shape)


def count_operators(path: Path) -> int:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return sum(len(graph.operators) for graph in model.subgraphs)


def permutations(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The orders of axes, the batch first, in which an array of `shape` has the shape `wanted`."""
    for order in itertools.permutations(range(1, len(shape))):
        if tuple(shape[axis] for axis in (0, *order)) == wanted:
            yield (0, *order)


def check_peer(path: Path, name: str, model: bytes) -> dict[str, Any]:
    """The smallest difference at batch 1 over all orders of the axes of input and output."""
    rows = rows_of(name, 1)
    wanted = reference(model, rows)
    orders = list(permutations(rows.shape, entry_shape(path)))
    made, refused = outputs_of(path, {str(order): rows.transpose(order) for order in orders})
    found = [
        (float(np.abs(wanted - array.transpose(back)).max()), order)
        for order, array in made.items()
        for back in permutations(array.shape, wanted.shape)
    ]
    if not found:
        return {"right": False, "why": next(iter(refused.values()), "other shapes")}
    least, order = min(found)
    return {"right": least <= TOLERANCE, "max_abs": least, "input_axes": order}


def lower(name: str, model: Any, signature: Any, path: Path) -> dict[str, Any]:
    """Ours, written to `path`: what is right, what is said, bytes, operators."""
    from mlpack_edge.converters.tflite_from_onnx.convert import tflite_from_onnx

    lowered = tflite_from_onnx(model, signature)
    path.write_bytes(lowered.data)
    free = isinstance(lowered.signature.inputs[0].shape[0], str)
    batches = BATCHES if free else (1,)
    made, refused = outputs_of(path, {str(batch): rows_of(name, batch) for batch in batches})
    serialized = model.SerializeToString()
    facts: dict[str, float | str] = {}
    for batch in batches:
        wanted = reference(serialized, rows_of(name, batch))
        facts[str(batch)] = refused.get(str(batch)) or difference(wanted, made[str(batch)])
    right = all(isinstance(fact, float) and fact <= TOLERANCE for fact in facts.values())
    return {
        "right": right,
        "batch": "free" if free else "static",
        "batches": facts,
        "notes": list(lowered.notes),
        "bytes": len(lowered.data),
        "operators": count_operators(path),
    }


def compare(files: dict[str, Path], processes: int, rounds: int) -> dict[str, Any]:
    """The latency of every file, and ours over each other and over a copy of itself."""
    with tempfile.TemporaryDirectory() as folder:
        if "mlpack" in files:
            files = files | {"control": Path(shutil.copy(files["mlpack"], folder))}
        names = {str(path): name for name, path in files.items()}
        runs = [child("time", *names, "--rounds", str(rounds), "--seed", str(seed)) for seed in range(processes)]
    medians = {name: np.array([run[path] for run in runs]) for path, name in names.items()}
    milliseconds = {name: round(float(np.median(calls)) / 1e6, 4) for name, calls in medians.items()}
    peers = sorted(set(files) - {"mlpack", "control"}, key=lambda name: milliseconds[name])
    result: dict[str, Any] = {"milliseconds": milliseconds, "leanest": peers[0] if peers else None}
    if "mlpack" in files:
        result["ratio"] = {name: ratio(medians["mlpack"] / medians[name]) for name in peers}
        result["control"] = ratio(medians["mlpack"] / medians["control"])
    return result


def ratio(rounds: Array) -> dict[str, Any]:
    """The median of [processes, rounds] and its 95 % interval: processes are drawn anew, then rounds of each."""
    rng = np.random.default_rng(0)
    processes, count = rounds.shape
    drawn = [
        np.median(rounds[rng.integers(0, processes, (processes, 1)), rng.integers(0, count, (processes, count))])
        for _ in range(2000)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"median": round(float(np.median(rounds)), 3), "ci95": [round(float(low), 3), round(float(high), 3)]}


def measure(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model, signature = convert(edge_nets.build(name), TorchOptions({"x": ("batch", *edge_nets.SHAPES[name])}))
    ours = folder / f"{name}.tflite"
    try:
        result: dict[str, Any] = {"onnx_bytes": model.ByteSize()} | lower(name, model, signature, ours)
    except (MlpackError, ValueError) as fault:
        result = {"right": False, "why": str(fault)}
    files = {"mlpack": ours} if result["right"] else {}
    if options.peers is None:
        return result | {"ok": result["right"]}
    peers: dict[str, Any] = {}
    for path in sorted(options.peers.glob(f"{name}.*.tflite")):
        peer = path.name.split(".")[1]
        try:
            peers[peer] = check_peer(path, name, model.SerializeToString())
        except ValueError as fault:
            peers[peer] = {"right": False, "why": str(fault)}
        peers[peer] |= {"bytes": path.stat().st_size, "operators": count_operators(path)}
        if peers[peer]["right"]:
            files[peer] = path
    result["peers"] = peers
    if files:
        result |= compare(files, options.processes, options.rounds)
    against = result.get("ratio", {}).get(result.get("leanest"))
    result["ok"] = result["right"] and (against is None or against["median"] <= ALLOWED)
    return result


def export(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for suffix, batch in (("", "batch"), (".b1", 1)):
            model, _ = convert(edge_nets.build(name), TorchOptions({"x": (batch, *edge_nets.SHAPES[name])}))
            (folder / f"{name}{suffix}.onnx").write_bytes(model.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="a folder with NAME.PEER.tflite")
    parser.add_argument("--only", action="append", choices=list(edge_nets.SHAPES), help="this net; may be repeated")
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15, help="of each process")
    parser.add_argument("--keep", type=Path, help="leave our files in this folder")
    parser.add_argument("--export", type=Path, help="write the ONNX files there and stop")
    options = parser.parse_args()
    names = options.only or list(edge_nets.SHAPES)
    if options.export:
        export(options.export, names)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        nets = {}
        for name in names:
            nets[name] = measure(name, options, folder)
            print(name, json.dumps(nets[name]), file=sys.stderr, flush=True)
    packages = {package: version(package) for package in ("ai-edge-litert", "onnxruntime", "torch")}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    ok = all(net["ok"] for net in nets.values())
    print(json.dumps({"machine": machine, "packages": packages, "nets": nets, "ok": ok}, indent=1))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
