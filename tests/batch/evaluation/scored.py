"""Scored tables as mlpack score writes them, and model files that say what their columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import pyarrow
import pyarrow.parquet
from onnx import TensorProto, helper

from mlpack_edge.batch.evaluation.evaluate import evaluate, evaluate_published
from mlpack_edge.core.signature import METADATA_KEY, Category, Signature, TensorSpec


def signature(
    label: str = "", width: int = 0, classes: Sequence[Category] = (), value: bool = False, ranks: str = "probabilities"
) -> Signature:
    """label: the dtype of a label output, "" for none. width: of the probabilities, 0 for none."""
    outputs = []
    if label:
        outputs.append(TensorSpec("label", label, ("batch",), "label"))
    if width:
        shape: tuple[str | int, ...] = ("batch", width) if width > 1 else ("batch",)
        outputs.append(TensorSpec(ranks, "float32", shape, ranks))
    if value:
        outputs.append(TensorSpec("value", "float32", ("batch", 1), "value"))
    return Signature((TensorSpec("x", "float32", ("batch", 1)),), tuple(outputs), classes=tuple(classes))


def model(path: Path, told: Signature) -> str:
    """A model file that carries the signature."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "model",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    helper.set_model_props(made, {METADATA_KEY: told.dumps()})
    onnx.save(made, path)
    return str(path)


def table(path: Path, columns: Mapping[str, Any]) -> str:
    """A Parquet file; two-dimensional arrays become fixed-size lists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: _array(values) for name, values in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(arrays), path)
    return str(path)


def judged(**request: Any) -> dict[str, Any]:
    """The report, without a child process."""
    return (evaluate if request.get("labels") else evaluate_published)(request, lambda stage: None)


def metric(found: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """The metric of that name in a list of a report."""
    return next(item for item in found if item["name"] == name)


def _array(values: Any) -> pyarrow.Array:
    if getattr(values, "ndim", 1) == 2:
        return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.ravel()), values.shape[1])
    return pyarrow.array(values)
