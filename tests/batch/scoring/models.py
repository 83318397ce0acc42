"""Models and rows that the tests of scoring use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.core.signature import METADATA_KEY, Column, Signature, TensorSpec

FLOAT, DOUBLE, INT64, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING


def model_file(path: Path, prefix: str = "") -> ModelFile:
    return ModelFile(str(path), path.suffix[1:], "", prefix)


def save(path: Path, model: onnx.ModelProto, signature: Signature | None = None) -> ModelFile:
    if signature is not None:
        model.metadata_props.add(key=METADATA_KEY, value=signature.dumps())
    onnx.save(model, path)
    return model_file(path)


def graph(nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], **constants: Any) -> onnx.ModelProto:
    """inputs, outputs: (element type, shape) by name."""
    made = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model)
    return model


def echo(
    kind: int = FLOAT, shape: tuple[Any, ...] = ("batch", 1), columns: tuple[Column, ...] = ()
) -> tuple[onnx.ModelProto, Signature]:
    """y = x."""
    model = graph([helper.make_node("Identity", ["x"], ["y"])], {"x": (kind, shape)}, {"y": (kind, shape)})
    dtype = "string" if kind == STRING else str(helper.tensor_dtype_to_np_dtype(kind))
    return model, Signature((TensorSpec("x", dtype, shape),), (TensorSpec("y", dtype, shape),), columns)


def frame(rows: int = 3000, seed: int = 0) -> Any:
    """Numbers a, b (some missing) and texts c (few), d (some dozens, outside ASCII), all with an effect."""
    rng = np.random.default_rng(seed)
    made = pandas.DataFrame({
        "a": rng.normal(size=rows),
        "b": rng.normal(5, 3, rows),
        "c": rng.choice(["x", "y", "zebra"], rows).astype(object),
        "d": np.array([f"d{number}é" for number in rng.integers(0, 40, rows)], object),
    })  # fmt: skip
    made.loc[rng.random(rows) < 0.05, "b"] = np.nan
    return made


def answers(rows: Any) -> Any:
    seen = rows["a"] + 0.2 * rows["b"].fillna(0) + (rows["c"] == "x") - (rows["d"] == "d3é")
    return np.where(seen > 1.2, "late", "on time")


def sklearn_model(path: Path, estimator: Any, rows: Any) -> ModelFile:
    """A fitted pipeline as an ONNX file with its signature."""
    inputs, columns = [], []
    for name in rows.columns:
        text = rows[name].dtype == object or str(rows[name].dtype) == "str"
        inputs.append(TensorSpec(name, "string" if text else str(rows[name].dtype), ("batch", 1)))
        columns.append(Column(name, "text" if text else "numeric", name, missing=True))
    built = onnx_from_sklearn(estimator, Signature(tuple(inputs), (), tuple(columns)))
    return save(path, built.model, built.signature)


def batch_of(rows: Any, coded: bool = False) -> pa.RecordBatch:
    """NaN of the frame is NaN; missing text is null."""
    columns = {}
    for name in rows.columns:
        values = rows[name].to_numpy()
        if values.dtype == object:
            array = pa.array([value if isinstance(value, str) else None for value in values], pa.string())
            columns[name] = array.dictionary_encode() if coded else array
        else:
            columns[name] = pa.array(values, from_pandas=False)
    return pa.RecordBatch.from_pydict(columns)
