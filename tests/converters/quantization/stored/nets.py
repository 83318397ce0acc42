"""Small nets with weights worth storing, prepared."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from mlpack_edge.converters.quantization.prepared import Prepared, prepare
from tests.converters.quantization.prepared.graphs import Graph, built


def prepared_of(model: onnx.ModelProto) -> Prepared:
    made = prepare(built(model))
    assert made.notes == ()
    return made


def mlp(opset: int = 17, width: int = 128) -> onnx.ModelProto:
    """Embeddings [batch, 300] through Gemms as torch writes them."""
    graph = Graph()
    hidden = graph.op("Relu", graph.dense("x", 300, width))
    hidden = graph.op("Tanh", graph.dense(hidden, width, width))
    return graph.model({"x": ["batch", 300]}, graph.dense(hidden, width, 10), opset=opset)


def convnet(opset: int = 17) -> onnx.ModelProto:
    graph = Graph()
    x = graph.op("Relu", graph.conv("x", 3, 32))
    x = graph.op("Relu", graph.conv(x, 32, 32, group=32))
    x = graph.op("Relu", graph.conv(x, 32, 64, side=1))
    x = graph.op("Flatten", graph.op("GlobalAveragePool", x))
    return graph.model({"x": ["batch", 3, 12, 12]}, graph.dense(x, 64, 10), opset=opset)


def attention(width: int = 96) -> onnx.ModelProto:
    """Three products that read one tensor, and a product of two activations."""
    graph = Graph()
    q, k, v = (graph.op("Add", graph.product("x", width, width), graph.normal(width)) for _ in range(3))
    scores = graph.op("Softmax", graph.op("MatMul", q, graph.op("Transpose", k, perm=[0, 2, 1])))
    mixed = graph.product(graph.op("MatMul", scores, v), width, width)
    return graph.model({"x": ["batch", "time", width]}, graph.op("Add", mixed, "x"))


def embedding(rows: int, width: int = 32) -> onnx.ModelProto:
    graph = Graph()
    taken = graph.op("Gather", graph.normal(rows, width), "x")
    return graph.model(
        {"x": ["batch", "time"]}, graph.op("Relu", graph.product(taken, width, 64)), dtypes={"x": TensorProto.INT64}
    )


def recurrent() -> onnx.ModelProto:
    graph = Graph()
    weights = [graph.normal(1, 96, 16, size=0.2), graph.normal(1, 96, 32, size=0.2), graph.normal(1, 192, size=0.2)]
    last = graph.op("GRU", "x", *weights, hidden_size=32, out="steps")
    flat = graph.op("Squeeze", last, graph.const(np.array([1])))
    return graph.model({"x": [6, "batch", 16]}, graph.product(flat, 32, 16))


def rows(*shape: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


FEEDS = {
    "mlp": rows(16, 300), "convnet": rows(4, 3, 12, 12), "attention": rows(4, 7, 96), "recurrent": rows(6, 5, 16),
    "embedding": np.random.default_rng(5).integers(0, 500, (4, 9)),
}  # fmt: skip
NETS = {
    "mlp": mlp(), "convnet": convnet(), "attention": attention(), "recurrent": recurrent(), "embedding": embedding(500),
}  # fmt: skip
