"""One operator, lowered and compared: with ONNX Runtime, or with what it must give where that has no such kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.tflite_from_onnx.emitter import held
from mlpack_edge.runtimes.onnxruntime import open_session, run
from tests.converters.tflite_from_onnx.lowered import kinds, lower, model_of, run_tflite

Array = NDArray[Any]


def model_with(
    operator: str, arrays: Sequence[Array], constant: Sequence[int] = (), opset: int = 21, **attributes: Any
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A model of one node on `arrays`, and its feeds; those at the places `constant` are part of the model."""
    names = [f"x{place}" for place in range(len(arrays))]
    fed = {name: array for place, (name, array) in enumerate(zip(names, arrays, strict=True)) if place not in constant}
    model = model_of(
        [helper.make_node(operator, names, ["y"], **attributes)],
        {name: (array.dtype.name, array.shape) for name, array in fed.items()},
        ["y"],
        {name: array for name, array in zip(names, arrays, strict=True) if name not in fed},
        opset=opset,
    )
    return model, fed


def assert_gives(
    operator: str,
    *arrays: Array,
    expected: Array | None = None,
    constant: Sequence[int] = (),
    opset: int = 21,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    delegates: Sequence[bool] = (True, False),
    **attributes: Any,
) -> list[str]:
    """The operator gives `expected` (ONNX Runtime's result by default), NaN and infinities in their places.

    delegates: with XNNPACK and without. Returns the operators of the file.
    """
    model, fed = model_with(operator, arrays, constant, opset, **attributes)
    if expected is None:
        expected = run(open_session(model.SerializeToString()), fed)["y"]
    lowered = lower(model)
    fed = {name: array.astype(held(array.dtype.name)) for name, array in fed.items()}
    for delegate in delegates:
        made = run_tflite(lowered.data, fed, delegate)["y"]
        assert made.shape == expected.shape
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(made, expected, rtol=rtol, atol=atol, err_msg=f"XNNPACK: {delegate}")
        else:
            assert made.dtype == expected.dtype
            np.testing.assert_array_equal(made, expected, err_msg=f"XNNPACK: {delegate}")
    return kinds(lowered.data)
