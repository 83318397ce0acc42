"""Schemes that need no data: weights as codes or float16, activations quantized while the model runs."""

from mlpack_edge.converters.quantization.stored.dynamic import dynamic_model
from mlpack_edge.converters.quantization.stored.half import fp16_model
from mlpack_edge.converters.quantization.stored.layers import computed_layers, layers_of, storable_layers
from mlpack_edge.converters.quantization.stored.rest import on_grids, rest_in, with_rest_stored
from mlpack_edge.converters.quantization.stored.weights import weights_model

__all__ = [
    "computed_layers", "dynamic_model", "fp16_model", "layers_of", "on_grids", "rest_in", "storable_layers", "weights_model",
    "with_rest_stored",
]  # fmt: skip
