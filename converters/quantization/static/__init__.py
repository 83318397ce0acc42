"""Activations and weights on fixed scales: QuantizeLinear and DequantizeLinear around the operators."""

from mlpack_edge.converters.quantization.static.layers import columns_of, layers_of, tensors_of
from mlpack_edge.converters.quantization.static.model import static_model
from mlpack_edge.converters.quantization.static.operators import ALL, ATTENTION, DEFAULT, INTEGER_ONLY, WEIGHTED

__all__ = [
    "ALL",
    "ATTENTION",
    "DEFAULT",
    "INTEGER_ONLY",
    "WEIGHTED",
    "columns_of",
    "layers_of",
    "static_model",
    "tensors_of",
]
