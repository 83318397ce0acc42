"""A small model, its input and a job file, for tests that run `mlpack score` as a user does."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from onnx import TensorProto, helper, save

from mlpack_edge.core.signature import Column, Signature, TensorSpec


def write_model(path: Path, factor: float = 2.0) -> None:
    """score = a + factor * b, of the columns a and b."""
    column = ["batch", 1]
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["b", "factor"], ["scaled"]),
            helper.make_node("Add", ["a", "scaled"], ["score"]),
        ],
        "sum",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, column) for name in ("a", "b")],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, column)],
        [helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    signature = Signature(
        tuple(TensorSpec(name, "float32", ("batch", 1)) for name in ("a", "b")),
        (TensorSpec("score", "float32", ("batch", 1), "value"),),
        tuple(Column(name, "numeric", name) for name in ("a", "b")),
    )
    helper.set_model_props(model, {"mlpack.signature": signature.dumps()})
    save(model, path)


def write_rows(path: Path, rows: int, missing: int = 0) -> None:
    """Columns id, a and b; in the first `missing` rows there is no a."""
    a: list[float | None] = [None if row < missing else float(row) for row in range(rows)]
    table = pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "a": pa.array(a, pa.float32()),
            "b": pa.array([0.5] * rows, pa.float32()),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path)


JOB = """
schema = 1
model = "../model.onnx"
input = "../in/{{ ds }}/*.parquet"
output = "../scores/{{ ds }}"
key = "id"

[log]
file = "../score.log"

[metrics]
file = "../score.prom"
"""


def write_job(folder: Path, more: str = "", text: str = JOB) -> Path:
    """`folder`/model.onnx, and the job file `folder`/jobs/night.toml, which starts from there."""
    write_model(folder / "model.onnx")
    (folder / "scores").mkdir()
    path = folder / "jobs/night.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + more)
    return path
