"""Tree ensembles inside function bodies and sub-graphs; those of a model's own graph are brought together first."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.forests.emit import forest_sums
from mlpack_edge.converters.tflite_from_onnx.forests.prepare import rows_of
from mlpack_edge.converters.tflite_from_onnx.forests.read import forest_of
from mlpack_edge.converters.tflite_from_onnx.forests.results import finished
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value


def tree_ensemble(node: Node) -> list[Value | None]:
    """TreeEnsemble of ai.onnx.ml 5, TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml 1 and 3."""
    forest = forest_of(node.proto, node.refuse)
    return finished(node, forest, forest_sums(node.low, forest, rows_of(node)))


OPERATORS = {
    "ai.onnx.ml:TreeEnsemble": tree_ensemble,
    "ai.onnx.ml:TreeEnsembleClassifier": tree_ensemble,
    "ai.onnx.ml:TreeEnsembleRegressor": tree_ensemble,
}
