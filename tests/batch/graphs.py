"""ONNX graphs and Parquet files that the tests of shards and engines run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
from onnx import TensorProto, helper, numpy_helper

_OPSETS = [helper.make_opsetid("", 18)]


def write_model(
    path: Path, nodes: Sequence[Any], inputs: Mapping[str, int], outputs: Mapping[str, Any], **constants: Any
) -> Path:
    """inputs: ONNX element types by name, [N] each. outputs: (element type, shape) by name. constants: arrays by name."""
    graph = helper.make_graph(
        list(nodes), "graph",
        [helper.make_tensor_value_info(name, kind, ["N"]) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=_OPSETS, ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def linear(path: Path) -> Path:
    """float32 a, b: score = a - 2 b, [N]; both = (a, b), [N, 2]."""
    one, two = np.array([-1], np.int64), np.float32(2)
    nodes = [
        helper.make_node("Mul", ["b", "two"], ["doubled"]),
        helper.make_node("Sub", ["a", "doubled"], ["score"]),
        helper.make_node("Unsqueeze", ["a", "last"], ["a1"]),
        helper.make_node("Unsqueeze", ["b", "last"], ["b1"]),
        helper.make_node("Concat", ["a1", "b1"], ["both"], axis=1),
    ]
    kind = TensorProto.FLOAT
    outputs = {"score": (kind, ["N"]), "both": (kind, ["N", 2])}
    return write_model(path, nodes, {"a": kind, "b": kind}, outputs, two=two, last=one)


def mixing(path: Path, width: int = 64) -> Path:
    """float32 a: score = sum of a random layer and a nonlinear one, [N]: its last bits depend on the place of a row."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Unsqueeze", ["a", "last"], ["a1"]),
        helper.make_node("MatMul", ["a1", "w"], ["h"]),
        helper.make_node("Sin", ["h"], ["s"]),
        helper.make_node("MatMul", ["s", "v"], ["t"]),
        helper.make_node("Squeeze", ["t", "last"], ["score"]),
    ]
    w, v = (rng.normal(size=shape).astype(np.float32) for shape in ((1, width), (width, 1)))
    kind = TensorProto.FLOAT
    last = np.array([1], np.int64)
    return write_model(path, nodes, {"a": kind}, {"score": (kind, ["N"])}, w=w, v=v, last=last)


def negated(path: Path) -> Path:
    """int64 x: score = x / -1, [N]. Of the least int64 that is no int64, and x86 ends the process with SIGFPE."""
    kind = TensorProto.INT64
    node = helper.make_node("Div", ["x", "minus"], ["score"])
    return write_model(path, [node], {"x": kind}, {"score": (kind, ["N"])}, minus=np.int64(-1))


def looked_up(path: Path) -> Path:
    """int64 x: score = a table of four numbers at x, [N]; ONNX Runtime raises an error where x is no place in it."""
    node = helper.make_node("Gather", ["table", "x"], ["score"])
    table = np.array([1.5, 2.5, 3.5, 4.5], np.float32)
    return write_model(path, [node], {"x": TensorProto.INT64}, {"score": (TensorProto.FLOAT, ["N"])}, table=table)


def hungry(path: Path) -> Path:
    """int64 x: score = x + the sum of max(x) ones, [N]: it allocates 8 bytes for each."""
    kind = TensorProto.INT64
    one = helper.make_tensor("value", kind, [1], [1])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=1),
        helper.make_node("ConstantOfShape", ["most"], ["ones"], value=one),
        helper.make_node("ReduceSum", ["ones"], ["sum"], keepdims=1),
        helper.make_node("Add", ["x", "sum"], ["score"]),
    ]
    return write_model(path, nodes, {"x": kind}, {"score": (kind, ["N"])})


def write_rows(path: Path, columns: Mapping[str, Any], group: int | None = None) -> Path:
    """A Parquet file with row groups of `group` rows."""
    table = pyarrow.table(dict(columns))
    pyarrow.parquet.write_table(table, path, row_group_size=group or max(1, table.num_rows))
    return path
