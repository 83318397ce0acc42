"""Scheme "dynamic": products on codes, whose activations are quantized while the model runs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.prepared.edges import attribute_of
from mlpack_edge.converters.quantization.prepared.reads import Weight
from mlpack_edge.converters.quantization.static.sums import fitted
from mlpack_edge.converters.quantization.stored.codes import Array, Codes, eight_bits, half_held
from mlpack_edge.converters.quantization.stored.forms import WHOLE_FROM, Forms, is_transposed
from mlpack_edge.converters.quantization.stored.weights import chosen, store
from mlpack_edge.converters.quantization.stored.writer import Writer
from mlpack_edge.converters.quantization.values import Recipe


def dynamic_model(prepared: Prepared, recipe: Recipe) -> onnx.ModelProto:
    """The model with MatMul and Gemm of constant weights on codes, and its other large constants stored as int8.

    Activations become uint8 with one grid a call (DynamicQuantizeLinear 11), weights int8 with a scale an output; the
    products are MatMulInteger 10, which ONNX Runtime fuses with the scales and the bias. Activations that several products
    read are quantized once. With `recipe.exact_sums` the weights leave room for sums in 16 bits (see `static.sums`).
    Convolutions stay float, as they would be slower: their weights are stored. With `recipe.stored` so are those of the
    products that are kept float, but for `recipe.float_weights`. The same arguments give the same bytes.
    Raises Unsupported where ONNX Runtime does not open the result.
    """
    writer = Writer(prepared.model)
    forms = Forms(prepared.model)
    maker = _Products(writer, recipe.exact_sums)
    stored = replace(recipe, kept_float=recipe.float_weights) if recipe.stored else recipe
    for weight in chosen(prepared, stored):
        if is_computed(weight, forms, recipe):
            maker.take(weight, forms.lean(weight))
        else:
            store(writer, weight, forms, four=False)
    return writer.finish()


def is_computed(weight: Weight, forms: Forms, recipe: Recipe) -> bool:
    """Whether who reads a constant multiplies on codes."""
    return forms.is_product(weight, WHOLE_FROM) and not any(read.layer in recipe.kept_float for read in weight.reads)


@dataclass(frozen=True, slots=True)
class _Activation:
    codes: str
    scale: str
    zero: str


class _Products:
    """Writes products on codes."""

    def __init__(self, writer: Writer, exact: bool) -> None:
        self._writer, self._exact = writer, exact
        self._activations: dict[str, _Activation] = {}

    def take(self, weight: Weight, lean: float) -> None:
        array = numpy_helper.to_array(weight.tensor)
        written: dict[bool, tuple[str, Array]] = {}
        for read in weight.reads:
            turned = is_transposed(read.node)
            if turned not in written:
                made = self._codes(array.T if turned else array, lean)
                written[turned] = self._writer.constant(made.codes), made.scale.reshape(-1)
            codes, scale = written[turned]
            self._writer.replace_node(read.layer, self._product(read.node, codes, scale))

    def _codes(self, matrix: Array, lean: float) -> Codes:
        """int8 of `[inner, outputs]`, a scale an output."""
        if not self._exact:
            return eight_bits(matrix, (1,), lean)
        steps = eight_bits(matrix, (1,)).scale.reshape(-1)
        codes, scale = fitted(np.ascontiguousarray(matrix.T, np.float64), steps, lean)
        return Codes(np.ascontiguousarray(codes.T, np.int8), half_held(scale))

    def _product(self, node: NodeProto, codes: str, scale: Array) -> list[NodeProto]:
        writer, nodes = self._writer, []
        given = node.input[0]
        if given not in self._activations:
            made = _Activation(writer.fresh(), writer.fresh(), writer.fresh())
            self._activations[given] = made
            nodes.append(helper.make_node("DynamicQuantizeLinear", [given], [made.codes, made.scale, made.zero]))
        found = self._activations[given]
        alpha = np.float32(attribute_of(node, "alpha", 1.0) if node.op_type == "Gemm" else 1.0)
        step = writer.scale(scale * alpha)
        sums, wide, steps = writer.fresh(), writer.fresh(), writer.fresh()
        bias = self._bias(node)
        output = node.output[0] if bias is None else writer.fresh()
        nodes += [
            helper.make_node("MatMulInteger", [found.codes, codes, found.zero], [sums], name=node.name),
            helper.make_node("Cast", [sums], [wide], to=TensorProto.FLOAT),
            helper.make_node("Mul", [found.scale, step], [steps]),
            helper.make_node("Mul", [wide, steps], [output]),
        ]
        if bias is not None:
            beta = float(attribute_of(node, "beta", 1.0))
            if beta != 1:
                scaled = writer.fresh()
                nodes.append(helper.make_node("Mul", [bias, writer.constant(np.array(beta, np.float32))], [scaled]))
                bias = scaled
            nodes.append(helper.make_node("Add", [output, bias], [node.output[0]]))
        return nodes

    def _bias(self, node: NodeProto) -> str | None:
        if node.op_type != "Gemm" or len(node.input) < 3 or not node.input[2]:
            return None
        return str(node.input[2])
