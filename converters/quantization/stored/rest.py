"""What a model on codes leaves as float constants, stored as int8: the layers that compute in float, tables, gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.prepared.edges import Edges
from mlpack_edge.converters.quantization.prepared.reads import Weight, weights_in
from mlpack_edge.converters.quantization.static.operators import CLIPPING, MOVES
from mlpack_edge.converters.quantization.stored.codes import Array, eight_bits
from mlpack_edge.converters.quantization.stored.forms import Form, Forms, is_storable
from mlpack_edge.converters.quantization.stored.weights import store
from mlpack_edge.converters.quantization.stored.writer import Writer
from mlpack_edge.converters.quantization.values import Recipe

#: What may stand between a product and the codes of its result.
_BETWEEN = MOVES | CLIPPING | {"Add"}


def rest_in(model: onnx.ModelProto, recipe: Recipe) -> list[Weight]:
    """The large float constants of a model that may be stored: finite, read as weights alone, and by no layer of
    `recipe.float_weights`."""
    return [
        weight
        for weight in weights_in(model)
        if is_storable(weight, as_codes=True)
        and not any(read.layer in recipe.float_weights for read in weight.reads)
        and bool(np.isfinite(numpy_helper.to_array(weight.tensor)).all())
    ]


def with_rest_stored(model: onnx.ModelProto, prepared: Prepared, recipe: Recipe) -> onnx.ModelProto:
    """`model`, made of `prepared` by the scheme "static", with its remaining large float constants as int8 for ONNX Runtime.

    What computes in float goes on doing so. The same arguments give the same bytes. Raises Unsupported where ONNX Runtime
    does not open the result.
    """
    shaped = onnx.ModelProto()
    shaped.CopyFrom(model)
    shaped.graph.value_info.extend(prepared.model.graph.value_info)
    writer, forms = Writer(model), _Beside(shaped)
    for weight in rest_in(model, recipe):
        store(writer, weight, forms, four=False)
    return writer.finish()


class _Beside(Forms):
    """Forms of constants beside operators on codes. ONNX Runtime takes a DequantizeLinear in front of a product whose other
    operand comes from codes for a product on codes, and where codes are made of its result leaves it to run at every call:
    such weights are made whole when the model is loaded."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(model)
        self._all = Edges(model.graph)

    def of(self, weight: Weight) -> Form:
        found = super().of(weight)
        if found == "product" and any(self._is_coded(read.node) for read in weight.reads):
            return "loaded"
        return found

    def _is_coded(self, node: onnx.NodeProto) -> bool:
        """Whether codes come in, or codes are made of what goes out, perhaps behind a bias and what limits or moves it."""
        follower = self._all.sole_reader(node.output[0])
        while follower is not None and follower.op_type in _BETWEEN:
            follower = self._all.sole_reader(follower.output[0])
        if follower is not None and follower.op_type == "QuantizeLinear":
            return True
        maker = self._all.givers.get(node.input[0])
        while maker is not None and maker.op_type in MOVES:
            maker = self._all.givers.get(maker.input[0])
        return maker is not None and maker.op_type == "DequantizeLinear"


@dataclass(frozen=True, slots=True)
class Held:
    """A constant that lies on a grid: `reals = codes * scale` along `axis`, to the last bit. codes: int8."""

    name: str
    codes: Array
    scale: Array
    axis: int


def on_grids(model: onnx.ModelProto, weights: Sequence[Weight]) -> tuple[onnx.ModelProto, list[Held]]:
    """A copy of `model` whose constants `weights` are the nearest numbers of int8 grids, still float32, and these grids.

    For tools that would take a DequantizeLinear for a wish to compute on codes.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    forms = Forms(model)
    held: dict[str, Held] = {}
    for weight in weights:
        if weight.tensor.data_type == TensorProto.FLOAT:
            axis = forms.scaled_axis(weight)
            found = eight_bits(numpy_helper.to_array(weight.tensor), (axis,))
            held[weight.name] = Held(weight.name, found.codes, found.scale.astype(np.float32).reshape(-1), axis)
    for tensor in made.graph.initializer:
        one = held.get(tensor.name)
        if one is not None:
            along = [-1 if at == one.axis else 1 for at in range(one.codes.ndim)]
            reals = one.codes.astype(np.float32) * one.scale.reshape(along)
            tensor.CopyFrom(numpy_helper.from_array(reals, tensor.name))
    return made, list(held.values())
