"""A float model by the project's own road to files: prepared, calibrated on rows, static, lowered."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.calibration.calibrate import calibrate
from mlpack_edge.converters.quantization.lite import lite_from_model
from mlpack_edge.converters.quantization.prepared import prepare
from mlpack_edge.converters.quantization.static import columns_of, static_model, tensors_of
from mlpack_edge.converters.quantization.values import Method, Recipe
from mlpack_edge.runtimes.onnx_files.signature import derived_signature
from tests.converters.quantization.prepared.graphs import answers, built
from tests.converters.tflite_from_onnx.lowered import run_tflite

Array = NDArray[Any]
U8S8, S8S8 = Recipe("static", stored=True), Recipe("static", "int8", exact_sums=False, stored=True)


def static_of(model: onnx.ModelProto, rows: Array, recipe: Recipe = U8S8, method: Method = "minmax") -> onnx.ModelProto:
    """rows: of the input x, to calibrate on."""
    prepared = prepare(built(model))
    assert prepared.notes == ()
    found = calibrate(
        prepared.model, tensors_of(prepared, recipe), [{"x": rows}], (method,), columns=columns_of(prepared, recipe)
    )
    made = static_model(prepared, found.ranges(method), recipe)
    onnx.checker.check_model(made, full_check=True)
    return made


def lite_of(model: onnx.ModelProto, rows: Array, recipe: Recipe = S8S8, method: Method = "minmax") -> bytes:
    return lite_from_model(static_of(model, rows, recipe, method), derived_signature(model), recipe).data


def answer(file: onnx.ModelProto | bytes, rows: Array) -> Array:
    """The first output of ONNX Runtime, or of LiteRT."""
    if isinstance(file, bytes):
        return next(iter(run_tflite(file, {"x": rows}).values()))
    return answers(file, x=rows)[0]


def noise_of_slices(found: Array, expected: Array, axis: int = 1) -> Array:
    """Mean square of the error over the variance of each slice of an axis."""
    others = tuple(at for at in range(expected.ndim) if at != axis)
    error = np.square(found.astype(np.float64) - expected).mean(axis=others)
    noise: Array = error / expected.astype(np.float64).var(axis=others)
    return noise
