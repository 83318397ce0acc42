"""Which layers the schemes without data change."""

from __future__ import annotations

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.stored.weights import chosen
from mlpack_edge.converters.quantization.values import Layer, Recipe, Scheme


def layers_of(prepared: Prepared, scheme: Scheme) -> tuple[Layer, ...]:
    """The nodes whose constants `scheme` ("dynamic", "fp16", "weights") stores or computes with as codes, in graph order."""
    taken = {read.layer for weight in chosen(prepared, Recipe(scheme)) for read in weight.reads}
    return tuple(layer for layer in prepared.layers if layer.name in taken)
