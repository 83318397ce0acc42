"""Scheme "weights": constants in int8 or int4, activations as they are."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mlpack_edge.converters.quantization.prepared import Prepared, upgraded
from mlpack_edge.converters.quantization.prepared.prepare import BLOCK_OPSET
from mlpack_edge.converters.quantization.prepared.reads import Weight, weights_in
from mlpack_edge.converters.quantization.stored.codes import Array, eight_bits, four_bits
from mlpack_edge.converters.quantization.stored.forms import Forms, channels_axis, is_storable, is_transposed
from mlpack_edge.converters.quantization.stored.writer import Writer
from mlpack_edge.converters.quantization.values import Recipe

#: Numbers of an int4 block. 32 is what ONNX Runtime's kernels are fastest at among those with little error.
BLOCK = 32


def weights_model(prepared: Prepared, recipe: Recipe, portable: bool = False) -> onnx.ModelProto:
    """The model with its large constants stored as `recipe.weights`, but for those that a kept layer reads.

    int8: -127 .. 127, a scale a channel. int4: -8 .. 7, a scale for BLOCK numbers along the inner axis (ONNX 21).
    portable: DequantizeLinear of constants and nothing else (int4 with a scale a channel), for other tools to lower; without
    it the forms that ONNX Runtime is fastest at (see `forms`). The same arguments give the same bytes. Raises Unsupported
    where the model cannot be brought to the opset that the codes need, or ONNX Runtime does not open the result.
    """
    four = recipe.weights == "int4"
    source = upgraded(prepared, BLOCK_OPSET) if four else prepared
    writer, forms = Writer(source.model), Forms(source.model)
    for weight in chosen(source, recipe):
        if portable:
            _store_portable(writer, weight, forms, four)
        else:
            store(writer, weight, forms, four)
    return writer.finish()


def chosen(prepared: Prepared, recipe: Recipe) -> list[Weight]:
    """The constants to store: finite ones (others are masks) whose readers all take weights, and are not kept float."""
    return [
        weight
        for weight in weights_in(prepared.model)
        if is_storable(weight, recipe.scheme != "fp16")
        and not any(read.layer in recipe.kept_float for read in weight.reads)
        and bool(np.isfinite(numpy_helper.to_array(weight.tensor)).all())
    ]


def store(writer: Writer, weight: Weight, forms: Forms, four: bool) -> None:
    """Store one constant in the form that suits its readers."""
    array, form = numpy_helper.to_array(weight.tensor), forms.of(weight)
    if form == "product":
        _store_product(writer, weight, array, four, forms.lean(weight))
    elif form == "rows" and not four:
        _store_rows(writer, weight, array)
    elif four and not forms.reads_table(weight):
        _store_loaded_blocks(writer, weight, array)
    else:
        _store_loaded(writer, weight, array, forms.scaled_axis(weight), forms.lean(weight))


def _store_portable(writer: Writer, weight: Weight, forms: Forms, four: bool) -> None:
    array, axis = numpy_helper.to_array(weight.tensor), forms.scaled_axis(weight)
    if weight.tensor.data_type != TensorProto.FLOAT:
        return  # DequantizeLinear gives float32
    if four:
        turned = np.moveaxis(array, axis, 0)
        made = four_bits(turned.reshape(len(turned), -1), 1, positive=True)
        codes, scale = np.moveaxis(made.codes.reshape(turned.shape), 0, axis), made.scale.reshape(-1)
    else:
        eight = eight_bits(array, (axis,), forms.lean(weight))
        codes, scale = eight.codes, eight.scale.reshape(-1)
    writer.replace_constant(weight.name)
    writer.front(
        "DequantizeLinear", [writer.constant(codes), writer.constant(scale.astype(np.float32))], weight.name, axis=axis
    )


def _store_product(writer: Writer, weight: Weight, array: Array, four: bool, lean: float) -> None:
    """DequantizeLinear in front of products, which read `[inner, outputs]`."""
    transposed = {is_transposed(read.node) for read in weight.reads}
    writer.replace_constant(weight.name)
    for turned in sorted(transposed):
        matrix = array.T if turned else array
        name = weight.name if len(transposed) == 1 or not turned else writer.fresh()
        if four:
            _front_blocks(writer, matrix, name)
        else:
            made = eight_bits(matrix, (1,), lean)
            codes, scale = writer.constant(made.codes), writer.scale(made.scale.reshape(-1))
            writer.front("DequantizeLinear", [codes, scale], name, axis=1)
        for read in weight.reads:
            if turned and is_transposed(read.node):
                writer.replace_node(read.layer, [turned_gemm(read.node, name)])


def _front_blocks(writer: Writer, matrix: Array, name: str) -> None:
    """int4 in blocks along the inner axis, the last block filled with zeros that are not stored."""
    inner, outputs = matrix.shape
    count = math.ceil(inner / BLOCK)
    padded = np.pad(matrix, ((0, count * BLOCK - inner), (0, 0)))
    made = four_bits(padded.reshape(count, BLOCK, outputs), 1)
    codes = made.codes.reshape(-1, outputs)[:inner]
    writer.front(
        "DequantizeLinear", [writer.constant(codes), writer.scale(made.scale[:, 0])], name, axis=0, block_size=BLOCK
    )


def turned_gemm(node: NodeProto, weights: str) -> NodeProto:
    """A Gemm that reads its weights as `[inner, outputs]`."""
    made = NodeProto()
    made.CopyFrom(node)
    made.input[1] = weights
    for index in reversed(range(len(made.attribute))):
        if made.attribute[index].name == "transB":
            del made.attribute[index]
    return made


def _store_rows(writer: Writer, weight: Weight, array: Array) -> None:
    """Gather takes rows of codes, which are made numbers behind it: the table stays small in memory."""
    made = eight_bits(array, (1,))
    codes, scale = writer.constant(made.codes), writer.scale(made.scale.reshape(-1))
    writer.replace_constant(weight.name)
    for read in weight.reads:
        rows, wide = writer.fresh(), writer.fresh()
        taken = NodeProto()
        taken.CopyFrom(read.node)
        taken.input[0], taken.output[0] = codes, rows
        cast = helper.make_node("Cast", [rows], [wide], to=TensorProto.FLOAT)
        scaled = helper.make_node("Mul", [wide, scale], [read.node.output[0]])
        writer.replace_node(read.layer, [taken, cast, scaled])


def _store_loaded(writer: Writer, weight: Weight, array: Array, axis: int, lean: float = 0.0) -> None:
    """codes -> Cast -> Mul, which ONNX Runtime computes when it loads the model."""
    made = eight_bits(array, (axis,), lean)
    wide = writer.front("Cast", [writer.constant(made.codes)], to=weight.tensor.data_type)
    writer.replace_constant(weight.name)
    writer.front("Mul", [wide, _scale(writer, weight, made.scale)], weight.name)


def _store_loaded_blocks(writer: Writer, weight: Weight, array: Array) -> None:
    """int4 codes in blocks of neighbours -> Cast -> Mul -> Reshape; int8 where the sizes have no fitting block."""
    block = block_of(array.size // array.shape[0])
    if block is None:
        _store_loaded(writer, weight, array, channels_axis(weight))
        return
    made = four_bits(array.reshape(-1, block), 1)
    wide = writer.front("Cast", [writer.constant(made.codes)], to=weight.tensor.data_type)
    scaled = writer.front("Mul", [wide, _scale(writer, weight, made.scale)])
    writer.replace_constant(weight.name)
    writer.front("Reshape", [scaled, writer.constant(np.array(array.shape, np.int64))], weight.name)


def block_of(inner: int) -> int | None:
    """The divisor of `inner` that is nearest to BLOCK, of those that keep scales and errors small."""
    fitting = [size for size in range(8, 129) if inner % size == 0]
    return min(fitting, key=lambda size: (abs(math.log(size / BLOCK)), size)) if fitting else None


def _scale(writer: Writer, weight: Weight, scale: Array) -> str:
    if weight.tensor.data_type == TensorProto.FLOAT:
        return writer.scale(scale)
    return writer.constant(scale.astype(np.float64))
