"""The one question of the converter tests: does the ONNX model say what the estimator says?"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.core.signature import Column, Signature, TensorSpec
from mlpack_edge.runtimes.onnxruntime import open_session, run
from mlpack_edge.runtimes.sklearn.estimator import run_estimator


def signature_of_matrix(width: int, dtype: str) -> Signature:
    """One input X `[batch, width]`."""
    return Signature((TensorSpec("X", dtype, ("batch", width)),), ())


def signature_of_frame(frame: Any, missing: bool = False) -> Signature:
    """One input `[batch, 1]` a column of a pandas data frame."""
    inputs, columns = [], []
    for name in frame.columns:
        kind = frame[name].dtype
        text = kind.kind in "OSU" if isinstance(kind, np.dtype) else True
        inputs.append(TensorSpec(name, "string" if text else str(kind), ("batch", 1)))
        columns.append(Column(name, "text" if text else "numeric", name, missing=missing))
    return Signature(tuple(inputs), (), tuple(columns))


def feeds_of_frame(frame: Any) -> dict[str, Any]:
    """The columns of a pandas data frame as named inputs `[batch, 1]`; missing text is "" (see MISSING_TEXT)."""
    feeds = {}
    for name in frame.columns:
        column = frame[name]
        numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind not in "OSU"
        array = column.to_numpy() if numeric else column.fillna("").to_numpy(dtype=object)
        feeds[name] = array.reshape(-1, 1)
    return feeds


def assert_same(
    estimator: Any, rows: Any, rtol: float = 1e-6, atol: float = 1e-7, missing: bool = False, opset: int = 21
) -> onnx.ModelProto:
    """Convert, run both on `rows` (matrix of float32/float64, or data frame) at batch all, 1 and 0, and compare.

    Labels must be equal on every row; numbers within `atol + rtol * |reference|`. Returns the model.
    """
    framed = hasattr(rows, "columns")
    signature = signature_of_frame(rows, missing) if framed else signature_of_matrix(rows.shape[1], str(rows.dtype))
    built = onnx_from_sklearn(estimator, signature, opset)
    onnx.checker.check_model(built.model, full_check=True)
    session = open_session(built.model.SerializeToString())
    feeds = feeds_of_frame(rows) if framed else {"X": rows}
    for count in (len(rows), 1, 0):
        some = {name: array[:count] for name, array in feeds.items()}
        expected, made = run_estimator(estimator, built.signature, some), run(session, some)
        for spec in built.signature.outputs:
            a, b = expected[spec.name], made[spec.name]
            assert b.shape == a.shape, f"{spec.name} has shape {b.shape}, not {a.shape}"
            if spec.role == "label":
                flips = np.flatnonzero(a != b) if a.ndim == 1 else np.flatnonzero((a != b).any(axis=1))
                assert flips.size == 0, f"{flips.size} of {len(a)} labels flip, first at row {flips[0]}"
            else:
                a, b = a.astype(np.float64), b.astype(np.float64)
                np.testing.assert_allclose(b, a, rtol=rtol, atol=atol, err_msg=spec.name)
    return built.model
