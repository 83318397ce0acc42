"""Which layers the schemes without data change, and which of them compute on codes."""

from __future__ import annotations

from collections.abc import Iterable

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.prepared.reads import Weight
from mlpack_edge.converters.quantization.stored.dynamic import is_computed
from mlpack_edge.converters.quantization.stored.forms import Forms
from mlpack_edge.converters.quantization.stored.rest import rest_in
from mlpack_edge.converters.quantization.stored.weights import chosen
from mlpack_edge.converters.quantization.values import Layer, Recipe, Scheme

#: What LiteRT computes with codes of weights and float activations.
_HYBRID = frozenset({"Conv", "Gemm", "MatMul"})


def layers_of(prepared: Prepared, scheme: Scheme) -> tuple[Layer, ...]:
    """The nodes whose constants `scheme` ("dynamic", "fp16", "weights") stores or computes with as codes, in graph order."""
    return _readers(prepared, chosen(prepared, Recipe(scheme)))


def computed_layers(prepared: Prepared, portable: bool) -> tuple[Layer, ...]:
    """The nodes that compute on codes in scheme "dynamic", in graph order. portable: in TFLite."""
    weights, recipe = chosen(prepared, Recipe("dynamic")), Recipe("dynamic")
    if portable:
        found = [weight for weight in weights if all(read.op_type in _HYBRID for read in weight.reads)]
    else:
        forms = Forms(prepared.model)
        found = [weight for weight in weights if is_computed(weight, forms, recipe)]
    return _readers(prepared, found)


def storable_layers(prepared: Prepared) -> tuple[Layer, ...]:
    """The nodes with constants that `Recipe.stored` may store where they compute in float, in graph order."""
    return _readers(prepared, rest_in(prepared.model, Recipe("weights")))


def _readers(prepared: Prepared, weights: Iterable[Weight]) -> tuple[Layer, ...]:
    taken = {read.layer for weight in weights for read in weight.reads}
    return tuple(layer for layer in prepared.layers if layer.name in taken)
