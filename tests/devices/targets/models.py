"""Small models, prepared for a target."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel, prepare
from tests.runtimes.tflite_models import mlp

Array = NDArray[Any]
#: A measurement that is over soon.
SHORT = Plan(processes=2, seconds=0.2, time_limit=30.0)


def onnx_layer(path: Path, width: int = 16) -> PreparedModel:
    return prepare(write_layer(path, width))


def write_layer(path: Path, width: int) -> Path:
    """tanh(x w), x float32 [batch, width]; its outputs depend on every bit of how a sum is made."""
    weights = np.random.default_rng(0).normal(size=(width, width)).astype(np.float32)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name in "xy"]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Tanh", ["s"], ["y"])]
    graph = helper.make_graph(nodes, "layer", values[:1], values[1:], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def tflite_layers(path: Path) -> PreparedModel:
    path.write_bytes(mlp(3))
    return prepare(path)


def unopened(path: Path, block: bytes, **feeds: Array) -> PreparedModel:
    """A file that this machine would not prepare, for it refuses it as well."""
    path.write_bytes(block)
    digest = hashlib.sha256(block).hexdigest()
    named = {name.removeprefix("at"): array for name, array in feeds.items()}
    return PreparedModel(str(path), path, path.suffix[1:], digest, len(block), (), 1, (named,), "0" * 64)
