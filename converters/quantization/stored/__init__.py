"""Schemes that need no data: weights as codes or float16, activations quantized while the model runs."""

from mlpack_edge.converters.quantization.stored.dynamic import dynamic_model
from mlpack_edge.converters.quantization.stored.half import fp16_model
from mlpack_edge.converters.quantization.stored.layers import layers_of
from mlpack_edge.converters.quantization.stored.weights import weights_model

__all__ = ["dynamic_model", "fp16_model", "layers_of", "weights_model"]
