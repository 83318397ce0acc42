"""Models of one operator on codes, and how far their answers may be apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.tflite_from_onnx.lowered import lower, run_tflite

Array = NDArray[Any]
_RANDOM = np.random.default_rng(0)
BATCHES = (1, 2, 7)


def draw_floats(*shape: int, scale: float = 1.0) -> Array:
    return (_RANDOM.normal(0, scale, shape)).astype(np.float32)


def microsoft_model(
    node: onnx.NodeProto, x: Array, constants: dict[str, Array], dtype: str, rank: int
) -> onnx.ModelProto:
    """A model of one operator of com.microsoft on codes `x`, whose batch is open."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    given_type = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", given_type, ["batch", *x.shape[1:]])],
        [helper.make_tensor_value_info("y", element, ["batch", *[f"d{i}" for i in range(1, rank)]])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def draw_codes(dtype: str, *shape: int) -> Array:
    limits = np.iinfo(dtype)
    return _RANDOM.integers(limits.min, limits.max + 1, shape).astype(dtype)


def assert_steps(model: onnx.ModelProto, x: Array, steps: int = 1) -> None:
    data, session = lower(model).data, open_session(model.SerializeToString())
    for batch in BATCHES:
        expected = run(session, {"x": x[:batch]})["y"]
        for delegate in (True, False):
            found = run_tflite(data, {"x": x[:batch]}, delegate)["y"]
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            assert int(np.abs(found.astype(int) - expected.astype(int)).max()) <= steps
