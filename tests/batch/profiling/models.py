"""Small models with signatures, ONNX and TFLite, and rows for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.core.signature import METADATA_KEY, Column, Signature, TensorSpec

CARRIERS = ("AA", "B6", "UA")


def classifier(path: Path, label: bool = True) -> Path:
    """A logistic model of delay, distance (float32 with NaN taken) and carrier (text): label and two probabilities. NaN in
    distance counts as 0."""
    nodes = [
        helper.make_node("LabelEncoder", ["carrier"], ["code"], domain="ai.onnx.ml", keys_strings=list(CARRIERS),
                         values_int64s=[0, 1, 2], default_int64=3),
        helper.make_node("Gather", ["weights", "code"], ["weight"]),
        helper.make_node("Slice", ["numbers", "zero", "one", "one"], ["delay"]),
        helper.make_node("Slice", ["numbers", "one", "two", "one"], ["far"]),
        helper.make_node("IsNaN", ["far"], ["absent"]),
        helper.make_node("Where", ["absent", "nought", "far"], ["distance"]),
        helper.make_node("Mul", ["distance", "scale"], ["scaled"]),
        helper.make_node("Sum", ["delay", "scaled", "weight"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["late"]),
        helper.make_node("Sub", ["unit", "late"], ["on_time"]),
        helper.make_node("Concat", ["on_time", "late"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["place"], axis=1, keepdims=0),
        helper.make_node("LabelEncoder", ["place"], ["label"], domain="ai.onnx.ml", keys_int64s=[0, 1],
                         values_strings=["on time", "late"], default_string="?"),
    ]  # fmt: skip
    constants = {
        "weights": np.array([-1, 0, 1, 0.5], np.float32), "zero": np.array([0, 0], np.int64)[1:], "one": np.array([1]),
        "two": np.array([2]), "nought": np.float32(0), "scale": np.float32(0.001), "unit": np.float32(1),
    }  # fmt: skip
    constants |= {"zero": np.array([0])}
    for node in nodes:
        if node.op_type == "Slice":  # along the columns
            node.input.insert(3, "axis")
            del node.input[4]
    constants["axis"] = np.array([1])
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2])]
    specs = [TensorSpec("probabilities", "float32", ("batch", 2), "probabilities")]
    if label:
        outputs.insert(0, helper.make_tensor_value_info("label", TensorProto.STRING, ["batch"]))
        specs.insert(0, TensorSpec("label", "string", ("batch",), "label"))
    graph = helper.make_graph(
        nodes if label else nodes[:-2], "late",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["batch", 2]),
         helper.make_tensor_value_info("carrier", TensorProto.STRING, ["batch", 1])],
        outputs, [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    signature = Signature(
        (TensorSpec("numbers", "float32", ("batch", 2)), TensorSpec("carrier", "string", ("batch", 1))), tuple(specs),
        (Column("delay", "numeric", "numbers", 0, unit="min"), Column("distance", "numeric", "numbers", 1, missing=True),
         Column("carrier", "categorical", "carrier", 0, CARRIERS)),
        ("on time", "late"),
    )  # fmt: skip
    return _saved(path, graph, signature)


def net(path: Path, width: int, classes: int = 3) -> Path:
    """x [batch, width] times a fixed matrix: scores [batch, classes], and nothing said of what they mean."""
    weights = np.random.default_rng(3).normal(size=(width, classes)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["scores"])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    return _saved(path, graph, None)


def _saved(path: Path, graph: Any, signature: Signature | None) -> Path:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 4)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if signature is not None:
        model.metadata_props.add(key=METADATA_KEY, value=signature.dumps())
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def flights(rows: int, seed: int = 1, days: int = 10) -> pa.Table:
    """Rows in the order of time: delay, distance (5 % missing), carrier, day, tail (of 20), late (what was true)."""
    random = np.random.default_rng(seed)
    delay = random.normal(0, 1, rows).astype(np.float32)
    distance = random.lognormal(6, 0.5, rows).astype(np.float32)
    absent = random.random(rows) < 0.05
    carrier = random.choice(CARRIERS, rows, p=(0.5, 0.3, 0.2))
    day = np.datetime64("2013-01-01") + np.sort(random.integers(0, days, rows))
    truth = np.where(delay + random.normal(0, 0.5, rows) > 0, "late", "on time")
    return pa.table({
        "delay": pa.array(delay), "distance": pa.array(distance, mask=absent), "carrier": pa.array(carrier),
        "day": pa.array(day.astype("datetime64[D]")), "tail": pa.array([f"N{n}" for n in random.integers(0, 20, rows)]),
        "late": pa.array(truth), "unused": pa.array(np.arange(rows)),
    })  # fmt: skip


def write(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path, row_group_size=3000)
    return path
