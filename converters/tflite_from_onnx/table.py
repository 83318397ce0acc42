"""The table of operators that can be lowered, put together from the families."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.lowering import Lower
from mlpack_edge.converters.tflite_from_onnx.operators import (
    activations,
    arithmetic,
    attention,
    bits,
    casts,
    channel_normalization,
    columns,
    comparison,
    control,
    convolution,
    counting,
    detecting,
    distinct,
    division,
    einsum,
    expanding,
    extremes,
    gathering,
    joining,
    losses,
    making,
    matrix,
    normalization,
    ordering,
    padding,
    pool_indices,
    pooling,
    powers,
    quantized,
    quantized_codes,
    quantized_integers,
    quantized_operators,
    randomness,
    rearranging,
    recurrent,
    reductions,
    resize,
    rounding,
    sampling,
    scattering,
    shapes,
    slicing,
    softmax,
    transcendental,
    transposed_convolution,
    trigonometry,
)

#: Each family is a module with OPERATORS: operator (of the standard's domain, or "domain:operator") -> how it is lowered.
FAMILIES = (
    activations,
    arithmetic,
    attention,
    bits,
    casts,
    channel_normalization,
    comparison,
    control,
    columns,
    convolution,
    counting,
    detecting,
    distinct,
    division,
    einsum,
    expanding,
    extremes,
    gathering,
    joining,
    losses,
    making,
    matrix,
    normalization,
    ordering,
    padding,
    pool_indices,
    pooling,
    powers,
    quantized,
    quantized_integers,
    quantized_operators,
    randomness,
    rearranging,
    recurrent,
    reductions,
    resize,
    sampling,
    rounding,
    scattering,
    shapes,
    slicing,
    softmax,
    transcendental,
    transposed_convolution,
    trigonometry,
)


def table() -> dict[tuple[str, str], Lower]:
    """(domain, operator) -> how it is lowered. An operator is in one family alone."""
    found: dict[tuple[str, str], Lower] = {}
    for family in FAMILIES:
        for name, lower in family.OPERATORS.items():
            domain, _, op_type = name.rpartition(":")
            assert (domain, op_type) not in found, f"{name} is in two families"
            found[(domain, op_type)] = lower
    return quantized_codes.passing_codes(found)
