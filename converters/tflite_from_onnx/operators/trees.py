"""Tree ensembles: TreeEnsemble, TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.forests.emit import forest_sums
from mlpack_edge.converters.tflite_from_onnx.forests.read import forest_of_v5
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value


def rows_of(node: Node) -> Value:
    """The rows a tree operator reads: [batch, features] floats."""
    x = node.input(0)
    if x.rank != 2 or not isinstance(x.shape[1], int):
        raise node.refuse(f"its input has the shape {list(x.shape)}; rows of a known number of columns are needed")
    if x.dtype in ("int32", "int64"):
        return node.low.op("Cast", x, to=1)
    if x.dtype not in ("float32", "float64"):
        raise node.refuse(f"its input is {x.dtype}")
    return x


def tree_ensemble(node: Node) -> Value:
    """TreeEnsemble of ai.onnx.ml 5."""
    return forest_sums(node.low, forest_of_v5(node.proto, node.refuse), rows_of(node))


OPERATORS = {
    "ai.onnx.ml:TreeEnsemble": tree_ensemble,
}
