"""What lowering a 20 MB convolutional net to TFLite costs in time and memory. Prints JSON.

    python benchmarks/tflite_cost.py

The net is residual, of 5.2 million weights, on images of 3x64x64, in an ONNX file. Measured is the whole command,
`mlpack convert net.onnx --to tflite`, in two forms: proven on 16 rows, where the conversion is what takes the time, and
on the usual 1,000, where running the two nets is. Memory is the peak of the largest process, less that of the same
command on a net of the same form with few weights, over the bytes of the ONNX file. Exit code 1 where a measure is
missed: under 5 seconds and under 4 times the file in memory, at 16 rows.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parent))
from convert_cost import spent

RUNS = 3
SECONDS, TIMES_SIZE = 5.0, 4.0


def net(widths: tuple[int, ...]) -> onnx.ModelProto:
    """A stem, two residual blocks a width (the first halves the image), a mean and a dense layer; batch open."""
    random = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: dict[str, Any] = {}

    def conv(x: str, inside: int, outside: int, size: int, stride: int, relu: bool) -> str:
        name = f"c{len(weights)}"
        weights[name] = (random.normal(size=(outside, inside, size, size)) / np.sqrt(inside * size * size)).astype("f4")
        for part, array in (
            ("scale", random.uniform(0.8, 1.2, outside)),
            ("shift", random.normal(size=outside)),
            ("mean", random.normal(size=outside) / 4),
            ("var", random.uniform(0.5, 2, outside)),
        ):
            weights[f"{name}.{part}"] = array.astype("f4")
        pads = [size // 2] * 4
        nodes.append(helper.make_node("Conv", [x, name], [f"{name}.y"], strides=[stride] * 2, pads=pads))
        norm = [f"{name}.{part}" for part in ("y", "scale", "shift", "mean", "var")]
        nodes.append(helper.make_node("BatchNormalization", norm, [f"{name}.n"]))
        if relu:
            nodes.append(helper.make_node("Relu", [f"{name}.n"], [f"{name}.r"]))
        return f"{name}.r" if relu else f"{name}.n"

    value, inside = conv("x", 3, widths[0], 3, 1, True), widths[0]
    for outside in widths:
        for stride in (2, 1):
            made = conv(conv(value, inside, outside, 3, stride, True), outside, outside, 3, 1, False)
            short = conv(value, inside, outside, 1, stride, False) if stride == 2 else value
            nodes.append(helper.make_node("Add", [made, short], [f"{made}.a"]))
            nodes.append(helper.make_node("Relu", [f"{made}.a"], [f"{made}.o"]))
            value, inside = f"{made}.o", outside
    weights["dense"] = random.normal(size=(inside, 10)).astype("f4") / 10
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "dense"], ["y"]))
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 64, 64])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large, small, out = folder / "large.onnx", folder / "small.onnx", folder / "out.tflite"
        onnx.save(net((48, 96, 192, 336)), large)
        onnx.save(net((4, 4, 4, 4)), small)

        def convert(path: Path, rows: int) -> dict[str, float]:
            line = [sys.executable, "-m", "mlpack_edge.cli.main", "convert", str(path), "--to", "tflite"]
            return spent([*line, "-o", str(out), "--rows", str(rows), "--force"])

        runs = [(convert(large, 16), convert(small, 16)) for _ in range(RUNS)]
        whole = convert(large, 1000)
        size = large.stat().st_size
        seconds = statistics.median(run[0]["wall"] for run in runs)
        memory = statistics.median(run[0]["peak"] - run[1]["peak"] for run in runs) / size
        result = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "onnx_bytes": size,
            "tflite_bytes": out.stat().st_size,
            "seconds": round(seconds, 2),
            "seconds_of_a_small_net": round(statistics.median(run[1]["wall"] for run in runs), 2),
            "seconds_proven_on_1000_rows": round(whole["wall"], 2),
            "memory_over_model": round(memory, 2),
            "ok": seconds < SECONDS and memory < TIMES_SIZE,
        }
    print(json.dumps(result, indent=1))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
