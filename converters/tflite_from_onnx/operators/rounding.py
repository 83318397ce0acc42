"""Rounding to whole numbers, which are floats still."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.operators.elementwise import on_floats

OPERATORS = {
    "Ceil": on_floats("CEIL"),
    "Floor": on_floats("FLOOR"),
    "Round": on_floats("ROUND"),  # half to even, both in ONNX and in TFLite
}
