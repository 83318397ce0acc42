"""What `mlpack convert` costs beside the bare library call, and how quick `mlpack --help` is. Prints JSON.

    python benchmarks/convert_cost.py

The model is a forest of 100 full trees in a .skops file. "bare" is a fresh process that imports scikit-learn, skl2onnx
and skops, loads the file, calls skl2onnx.to_onnx and writes the result: no check, no signature. Ours is the whole
command, its check on 1,000 and more rows included. Both are run in turn, processor seconds and wall seconds of the
whole process tree. Memory is the peak of the largest process, less that of the same process on a model of one tree,
over the bytes of the model file. Exit code 1 where a measure is missed.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BARE = """
import sys, skops.io
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from mlpack_edge.runtimes.sklearn.skops_trusted import TRUSTED
model = skops.io.load(sys.argv[1], trusted=list(TRUSTED))
made = to_onnx(model, initial_types=[("X", FloatTensorType([None, 20]))], options={"zipmap": False})
open(sys.argv[2], "wb").write(made.SerializeToString())
"""
RUNS = 5


def spent(line: list[str]) -> dict[str, float]:
    """Processor seconds, wall seconds and peak memory (bytes) of a command and all it starts."""
    code = (
        "import json, resource, subprocess, sys, time\n"
        "start = time.monotonic()\n"
        "done = subprocess.run(json.loads(sys.argv[1]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)\n"
        "use = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([done.returncode, done.stderr, use.ru_utime + use.ru_stime, time.monotonic() - start,"
        " use.ru_maxrss * 1024]))"
    )
    report = subprocess.run([sys.executable, "-c", code, json.dumps(line)], capture_output=True, text=True, check=True)
    failed, errors, cpu, wall, peak = json.loads(report.stdout)
    if failed:
        raise SystemExit(f"{' '.join(line[:6])} failed: {errors}")
    return {"cpu": cpu, "wall": wall, "peak": peak}


def train(folder: Path, trees: int, rows: int) -> Path:
    import numpy as np
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(0)
    features = random.normal(size=(rows, 20)).astype(np.float32)
    target = (features[:, 0] + features[:, 1] * features[:, 2] + random.normal(size=rows) * 0.5 > 0).astype(int)
    path = folder / f"forest{trees}.skops"
    model = RandomForestClassifier(trees, random_state=0).fit(features, target)
    skops.io.dump(model, path, compression=0)
    return path


def main() -> None:
    mlpack = [sys.executable, "-m", "mlpack_edge.cli.main"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        forest, stump = train(folder, 100, 10_000), train(folder, 1, 50)
        out = folder / "out.onnx"
        ours = [*mlpack, "convert", str(forest), "-o", str(out), "--force"]
        bare = [sys.executable, "-c", BARE, str(forest), str(out)]
        pairs = [(spent(ours), spent(bare)) for _ in range(RUNS)]
        base = spent([*mlpack, "convert", str(stump), "-o", str(out), "--force"])["peak"]
        peak = statistics.median(pair[0]["peak"] for pair in pairs)
        size = forest.stat().st_size
        help_cpu = statistics.median(spent([*mlpack, "--help"])["cpu"] for _ in range(RUNS))
        result: dict[str, Any] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "model_bytes": size,
            "cpu_seconds": {"mlpack": round(statistics.median(p[0]["cpu"] for p in pairs), 2),
                            "bare": round(statistics.median(p[1]["cpu"] for p in pairs), 2)},
            "wall_seconds": {"mlpack": round(statistics.median(p[0]["wall"] for p in pairs), 2),
                             "bare": round(statistics.median(p[1]["wall"] for p in pairs), 2)},
            "cpu_ratio": round(statistics.median(p[0]["cpu"] / p[1]["cpu"] for p in pairs), 3),
            "wall_ratio": round(statistics.median(p[0]["wall"] / p[1]["wall"] for p in pairs), 3),
            "memory_over_model": round((peak - base) / size, 2),
            "help_cpu_seconds": round(help_cpu, 3),
        }  # fmt: skip
    result["ok"] = result["wall_ratio"] <= 1.3 and result["memory_over_model"] <= 3 and result["help_cpu_seconds"] < 0.3
    print(json.dumps(result, indent=1))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
