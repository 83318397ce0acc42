"""A job over flights for tests of `mlpack score`: a net of two columns, one of them text, and its inputs as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import polars
from onnx import TensorProto, helper, numpy_helper

CARRIERS = ["AA", "B6", "UA", "WN", "Ærø Fly"]
SEED = 7


def write_model(path: Path, layers: int = 0, scale: float = 0.01) -> Path:
    """A sigmoid over distance and carrier; `layers` square layers of 256 units make it slow without changing much."""
    random = np.random.default_rng(SEED)
    nodes = [
        helper.make_node(
            "LabelEncoder", ["carrier"], ["code"], domain="ai.onnx.ml",
            keys_strings=CARRIERS, values_int64s=list(range(len(CARRIERS))), default_int64=len(CARRIERS),
        ),
        helper.make_node("Gather", ["weights", "code"], ["weight"]),
        helper.make_node("Mul", ["distance", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "weight"], ["x0"]),
    ]  # fmt: skip
    constants = {
        "weights": np.linspace(-1, 1, len(CARRIERS) + 1, dtype=np.float32),
        "scale": np.array([scale], np.float32),
    }
    last = "x0"
    if layers:
        constants["spread"] = random.standard_normal((1, 256)).astype(np.float32)
        constants["gather"] = (random.standard_normal((256, 1)) / 256).astype(np.float32)
        nodes.append(helper.make_node("MatMul", ["x0", "spread"], ["wide0"]))
        for layer in range(layers):
            constants[f"square{layer}"] = (random.standard_normal((256, 256)) / 16).astype(np.float32)
            nodes.append(helper.make_node("MatMul", [f"wide{layer}", f"square{layer}"], [f"made{layer}"]))
            nodes.append(helper.make_node("Tanh", [f"made{layer}"], [f"wide{layer + 1}"]))
        nodes.append(helper.make_node("MatMul", [f"wide{layers}", "gather"], ["x1"]))
        last = "x1"
    nodes.append(helper.make_node("Sigmoid", [last], ["score"]))
    graph = helper.make_graph(
        nodes, "late",
        [helper.make_tensor_value_info("distance", TensorProto.FLOAT, ["batch", 1]),
         helper.make_tensor_value_info("carrier", TensorProto.STRING, ["batch", 1])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 4)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    onnx.checker.check_model(str(path))
    return path


def rows(count: int, first: int = 0) -> polars.DataFrame:
    """Rows `first` to `first + count` of an endless table: the same number gives the same row."""
    number = np.arange(first, first + count)
    return polars.DataFrame(
        {
            "flight": number,
            "distance": ((number * 7919) % 4983).astype(np.float32),
            "carrier": [CARRIERS[i] for i in (number * 31) % len(CARRIERS)],
        },
        schema_overrides={"carrier": polars.String},
    )


def write_files(folder: Path, files: int, rows_each: int, first: int = 0) -> Path:
    """`files` Parquet files of `rows_each` rows, named by their place."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        rows(rows_each, first + number * rows_each).write_parquet(folder / f"{number:03d}.parquet")
    return folder


def table_of(output: Path) -> polars.DataFrame:
    """The rows of a published directory, in the order of its parts."""
    return polars.concat(
        [polars.read_parquet(path, hive_partitioning=False) for path in sorted(output.glob("*.parquet"))]
    )
