"""Activations and weights on fixed scales: QuantizeLinear and DequantizeLinear around the operators."""

from mlpack_edge.converters.quantization.static.layers import columns_of, layers_of, tensors_of
from mlpack_edge.converters.quantization.static.model import static_model

__all__ = ["columns_of", "layers_of", "static_model", "tensors_of"]
