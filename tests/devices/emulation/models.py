"""Models whose multiply-adds are known, for guests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.runtimes.tflite_models import OP, Op, Tensor, tflite

#: Rows, inner size and columns of the products: 64 * 64 * 64 multiply-adds.
SIZE = 64
MULTIPLY_ADDS = SIZE**3


#: Small whole numbers: their sums of products are exact in float32, in whatever order a kernel takes them.
WEIGHTS = np.random.default_rng(1).integers(-60, 60, (SIZE, SIZE))
X = np.random.default_rng(0).integers(-60, 60, (SIZE, SIZE))


def write_onnx(path: Path, dtype: type[np.generic] = np.float32) -> Path:
    """y = x w with 64 x 64 matrices: float32 MatMul, or int8 MatMulInteger (into int32)."""
    float32 = dtype == np.float32
    weights = WEIGHTS.astype(dtype)
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT) if float32 else (TensorProto.INT8, TensorProto.INT32)
    values = [helper.make_tensor_value_info(name, kind, [SIZE, SIZE]) for name, kind in zip("xy", kinds, strict=True)]
    node = helper.make_node("MatMul" if float32 else "MatMulInteger", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "product", values[:1], values[1:], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def write_tflite(path: Path) -> Path:
    """y = x w in float32: FULLY_CONNECTED, whose weights lie transposed."""
    weights = np.ascontiguousarray(WEIGHTS.T.astype(np.float32))
    tensors = [Tensor("x", [SIZE, SIZE]), Tensor("w", [SIZE, SIZE], data=weights), Tensor("y", [SIZE, SIZE])]
    path.write_bytes(tflite(tensors, [Op(OP.FULLY_CONNECTED, ["x", "w"], ["y"], ("FullyConnected", {}))], ["x"], ["y"]))
    return path
