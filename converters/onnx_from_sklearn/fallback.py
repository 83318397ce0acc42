"""One estimator through skl2onnx, inlined into our graph.

skl2onnx is asked for a graph in float64 first, since that is what scikit-learn computes in; where ONNX Runtime has
no such kernel, in float32.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mlpack_edge.converters.frame import Frame, Prediction, frame_of
from mlpack_edge.converters.onnx_from_sklearn.scope import Estimator, Scope
from mlpack_edge.converters.onnx_graph import DTYPE_OF_ONNX, ML, Value
from mlpack_edge.core.errors import Unsupported
from mlpack_edge.runtimes.onnxruntime import loads

#: The last opset skl2onnx 1.20 writes.
SKL2ONNX_OPSET = 22
#: Operators that ai.onnx.ml 5, in which our graphs are written, has replaced by others.
_GONE_IN_ML_5 = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}


def convert_with_skl2onnx(scope: Scope, estimator: Estimator, frame: Frame) -> Frame | Prediction:
    """Convert a leaf for which we have no converter (Unsupported where skl2onnx has none either)."""
    if not hasattr(estimator, "predict") and not hasattr(estimator, "transform"):
        raise scope.refuse(estimator, "it neither predicts nor transforms new rows")
    if frame.is_text:
        raise scope.refuse(estimator, "no converter of ours takes text into it")
    if scope.wants == "transform" and hasattr(estimator, "predict"):
        raise scope.refuse(estimator, "skl2onnx writes what it predicts, and here it must transform")
    faults = []
    for dtype in ("float64", "float32"):
        try:
            model = _leaf(estimator, frame.width, dtype, scope.graph.opset, scope.graph.ml_opset)
        except _NoConverter as fault:
            raise scope.refuse(estimator, str(fault)) from fault
        old = sorted({node.op_type for node in model.graph.node} & _GONE_IN_ML_5)
        if old and scope.graph.ml_opset >= 5:
            raise scope.refuse(estimator, f"skl2onnx writes {old[0]} for it, which {ML} 5 no longer has")
        fault_text = loads(model.SerializeToString())
        if fault_text is None:
            value = frame.dense(scope.graph, dtype)
            made = scope.graph.inline(with_gather(model), {model.graph.input[0].name: value.name})
            return _as_result(scope, estimator, model, made)
        faults.append(fault_text)
    raise scope.refuse(estimator, f"skl2onnx wrote a graph that ONNX Runtime refuses: {faults[-1]}")


class _NoConverter(Exception):
    pass


def with_gather(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with each ArrayFeatureExtractor as a Gather: ONNX Runtime's fails on a batch of no rows.

    ArrayFeatureExtractor takes places of the last axis, the places given in any shape; of 1-D data it makes `[1, n]`.
    Raises Unsupported where the rank of the data is not known.
    """
    if not any(node.op_type == "ArrayFeatureExtractor" for node in model.graph.node):
        return model
    made = onnx.ModelProto()
    made.CopyFrom(onnx.shape_inference.infer_shapes(model))
    graph = made.graph
    ranks = {item.name: len(item.dims) for item in graph.initializer}
    for info in (*graph.input, *graph.value_info):
        if info.type.tensor_type.HasField("shape"):
            ranks[info.name] = len(info.type.tensor_type.shape.dim)
    nodes: list[onnx.NodeProto] = []
    flat, first = "gather_flat", "gather_first"
    graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), flat))
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), first))
    for node in graph.node:
        if node.op_type != "ArrayFeatureExtractor":
            nodes.append(node)
            continue
        data, places = node.input
        if data not in ranks:
            raise Unsupported(f"the rank of {data} in the graph of skl2onnx is not known")
        out, list_of, picked = node.output[0], f"{node.output[0]}_places", f"{node.output[0]}_picked"
        nodes.append(helper.make_node("Reshape", [places, flat], [list_of], name=list_of))
        one = ranks[data] == 1
        nodes.append(helper.make_node("Gather", [data, list_of], [picked if one else out], axis=-1, name=picked))
        if one:
            nodes.append(helper.make_node("Unsqueeze", [picked, first], [out], name=out))
    del graph.node[:]
    graph.node.extend(nodes)
    return made


def _leaf(estimator: Estimator, width: int, dtype: str, opset: int, ml_opset: int) -> onnx.ModelProto:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    kind = DoubleTensorType if dtype == "float64" else FloatTensorType
    options: dict[int, Any] = {}
    if hasattr(estimator, "predict_proba") or hasattr(estimator, "classes_"):
        options = {id(estimator): {"zipmap": False}}
    arguments = {
        "initial_types": [("X", kind([None, width]))],
        "target_opset": {"": min(opset, SKL2ONNX_OPSET), ML: ml_opset},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            try:
                made: onnx.ModelProto = to_onnx(estimator, options=options, **arguments)
            except NameError:  # skl2onnx: this estimator has no option "zipmap"
                made = to_onnx(estimator, **arguments)
        except (MissingConverter, MissingShapeCalculator) as fault:
            raise _NoConverter("no converter is registered for this class") from fault
        except (
            NotImplementedError,
            RuntimeError,
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            IndexError,
        ) as fault:
            first = str(fault).strip().splitlines()
            raise _NoConverter(f"skl2onnx could not: {type(fault).__name__}: {first[0] if first else ''}") from fault
    return made


def _as_result(scope: Scope, estimator: Estimator, model: onnx.ModelProto, made: dict[str, str]) -> Frame | Prediction:
    """Name what skl2onnx gave by what it means."""
    graph = scope.graph
    values = []
    for output in model.graph.output:
        tensor = output.type.tensor_type
        dims = [dim.dim_value for dim in tensor.shape.dim]
        dtype = DTYPE_OF_ONNX.get(tensor.elem_type)
        if dtype is None:
            raise Unsupported(f"skl2onnx gives {output.name} as something that is no tensor")
        values.append((output.name, Value(made[output.name], dtype, dims[1] if len(dims) > 1 else None)))
    if hasattr(estimator, "transform") and not hasattr(estimator, "predict"):
        value = values[0][1]
        width = value.width or len(estimator.get_feature_names_out())
        return frame_of(Value(value.name, value.dtype, width))
    if hasattr(estimator, "classes_") or hasattr(estimator, "fit_predict"):
        label = graph.vector(values[0][1])
        second = values[1][1] if len(values) > 1 else None
        if second is None:
            return Prediction(label=label)
        if hasattr(estimator, "predict_proba"):
            return Prediction(label=label, probabilities=second)
        return Prediction(label=label, scores=second if hasattr(estimator, "decision_function") else None)
    value = values[0][1]
    if value.width == 1 and _is_flat(estimator):
        value = graph.vector(value)
    return Prediction(value=value)


def _is_flat(estimator: Estimator) -> bool:
    """Whether `predict` gives `[batch]` for a single target: asked of the estimator itself, with one row."""
    row = np.zeros((1, int(estimator.n_features_in_)))
    return bool(np.ndim(estimator.predict(row)) == 1)
