"""A quantized model as a TFLite file, by the recipe that quantized it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import onnx

from mlpack_edge.converters.quantization.lite_borders import codes_at_borders, refuse_recurrent_borders
from mlpack_edge.converters.quantization.lite_fixed import write_on_fixed_grids, write_on_fixed_grids_always
from mlpack_edge.converters.quantization.lite_held import store_held
from mlpack_edge.converters.quantization.lite_hybrid import (
    compute_with_codes,
    compute_with_nibbles,
    has_nibbles,
)
from mlpack_edge.converters.quantization.lite_integers import compute_with_integers
from mlpack_edge.converters.quantization.lite_notes import FloatOperators
from mlpack_edge.converters.quantization.lite_slow import compute_slow_in_float
from mlpack_edge.converters.quantization.stored.rest import Held
from mlpack_edge.converters.quantization.values import Recipe
from mlpack_edge.converters.tflite_from_onnx.convert import Lowered, tflite_from_onnx
from mlpack_edge.converters.tflite_from_onnx.passes.run import Pass
from mlpack_edge.converters.tflite_graph.model import Graph
from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.signature import Signature

Borders = Literal["float", "int8"]


def lite_from_model(
    model: onnx.ModelProto,
    signature: Signature,
    recipe: Recipe,
    io: Borders = "float",
    metadata: Mapping[str, str] | None = None,
    held: Sequence[Held] = (),
) -> Lowered:
    """Lower a quantized ONNX model to TFLite with the kernels its recipe asks for.

    model, by the scheme of `recipe`:
    - "static": with QuantizeLinear and DequantizeLinear around what computes with codes: int8 kernels;
    - "dynamic": the weights form (DequantizeLinear of constants), not DynamicQuantizeLinear: FULLY_CONNECTED and CONV_2D on
      float activations and int8 weights, which LiteRT quantizes row by row; other weights are stored as int8;
    - "weights", "fp16": constants behind DequantizeLinear, or behind a Cast from float16: stored like that. Weights of
      int4 are int4 in FULLY_CONNECTED, and int8 elsewhere.
    signature: of the float model. io: "int8" makes float inputs and outputs int8 codes (scheme "static" alone); their
    grids are in the tensors and in the signature that travels. metadata: more entries for the file.
    held: float constants of `model` on grids: stored as their codes, computed with as they are.
    Raises Unsupported (what TFLite or int8 borders cannot express, by name), BadInput (io against the scheme).
    """
    if io == "int8" and recipe.scheme != "static":
        raise BadInput(
            f"the scheme {recipe.name} computes with real numbers at its inputs and outputs, and --io is int8",
            "quantize with --scheme static, or keep --io float",
        )
    last: list[Pass] = []
    if recipe.scheme == "static":
        last.append(write_on_fixed_grids_always if recipe.integer_only else write_on_fixed_grids)
    if recipe.integer_only:
        last.append(compute_with_integers)
    if recipe.scheme == "dynamic":
        last.append(compute_with_codes)
    if recipe.scheme == "weights" and recipe.weights == "int4":
        last += [compute_with_nibbles, _refuse_without_nibbles]
    if io == "int8":
        refuse_recurrent_borders(model)
        last.append(codes_at_borders)
    if recipe.scheme == "static" and not recipe.integer_only:
        last.append(compute_slow_in_float)
    if held:
        last.append(partial(store_held, held))
    left = FloatOperators()
    if recipe.integer_only:
        last.append(left.look)
    made = tflite_from_onnx(model, signature, metadata=metadata, last=last)
    return replace(made, notes=(*made.notes, *left.notes()))


def _refuse_without_nibbles(graph: Graph) -> bool:
    if graph.name == "main" and not has_nibbles(graph):
        raise Unsupported(
            "LiteRT takes int4 weights in FULLY_CONNECTED alone, and this model has none that could be so",
            "store the weights as int8: --bits 8",
        )
    return False
