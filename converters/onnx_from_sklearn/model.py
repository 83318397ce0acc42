"""A fitted scikit-learn estimator as a whole ONNX model with named inputs and outputs."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.built import BuiltModel, frame_from_inputs, model_from_result
from mlpack_edge.converters.onnx_from_sklearn.scope import Estimator
from mlpack_edge.converters.onnx_from_sklearn.walk import convert_estimator
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET, Graph
from mlpack_edge.core.signature import Category, Signature


def onnx_from_sklearn(estimator: Estimator, signature: Signature, opset: int = DEFAULT_OPSET) -> BuiltModel:
    """Convert a fitted estimator.

    signature: its inputs (one `[batch, features]` tensor, or one `[batch, 1]` tensor a column) and columns; the
    outputs are filled in, see `model_from_result`. Floats leave as float32 where every input is float32, else as
    scikit-learn gives them, in float64. Raises Unsupported, naming the step.
    """
    graph = Graph(opset, reserved=[spec.name for spec in signature.inputs])
    root = "pipeline" if type(estimator).__name__ == "Pipeline" else "model"
    made = convert_estimator(graph, estimator, frame_from_inputs(signature), root)
    return model_from_result(graph, made, signature, _classes(estimator))


def _classes(estimator: Estimator) -> tuple[Category, ...]:
    """The class labels; none where there are several labels a row, each with classes of its own (a list of arrays)."""
    classes = getattr(estimator, "classes_", None)
    if classes is None or (isinstance(classes, list) and any(np.ndim(part) for part in classes)):
        return ()
    return tuple(np.asarray(classes).tolist())
