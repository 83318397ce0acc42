"""Operators that make random numbers: none of them can be lowered."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.values import Value


def refused(node: Node) -> Value:
    """Two runs of the source give two results, so that nothing could prove the file to be the same model."""
    raise node.refuse("what it makes is random: no file can be proved to give the same", "take it out of the model")


OPERATORS = dict.fromkeys(
    ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), refused
)
