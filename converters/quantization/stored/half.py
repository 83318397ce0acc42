"""Scheme "fp16": constants in float16, everything computed in float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from mlpack_edge.converters.quantization.prepared import Prepared
from mlpack_edge.converters.quantization.stored.codes import half
from mlpack_edge.converters.quantization.stored.weights import chosen
from mlpack_edge.converters.quantization.stored.writer import Writer
from mlpack_edge.converters.quantization.values import Recipe


def fp16_model(prepared: Prepared, recipe: Recipe) -> onnx.ModelProto:
    """The model with its large constants as float16 behind a Cast, but for those that a kept layer reads.

    ONNX Runtime casts them when it loads the model: nothing is computed in float16, so nothing overflows, and the speed is
    that of float. Constants that float16 does not hold (see `codes.half`) stay; those beside its range go behind a power
    of two. The same arguments give the same bytes. Raises Unsupported where ONNX Runtime does not open the result.
    """
    writer = Writer(prepared.model)
    for weight in chosen(prepared, recipe):
        made = half(numpy_helper.to_array(weight.tensor))
        if made is None:
            continue
        numbers, factor = made
        writer.replace_constant(weight.name)
        kind = weight.tensor.data_type
        if factor == 1:
            writer.front("Cast", [writer.constant(numbers)], weight.name, to=kind)
            continue
        wide = writer.front("Cast", [writer.constant(numbers)], to=kind)
        dtype = numpy_helper.to_array(weight.tensor).dtype
        writer.front("Mul", [wide, writer.constant(np.array(factor, dtype))], weight.name)
    return writer.finish()
