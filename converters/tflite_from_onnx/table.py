"""The table of operators that can be lowered, put together from the families."""

from __future__ import annotations

from importlib import import_module

from mlpack_edge.converters.tflite_from_onnx.lowering import Lower
from mlpack_edge.converters.tflite_from_onnx.operators.quantized_codes import passing_codes

#: Each family is a module of `operators` with OPERATORS: operator (of the standard's domain, or "domain:operator") -> how
#: it is lowered.
FAMILIES = (
    "activations", "arithmetic", "attention", "bits", "casts", "channel_normalization", "columns", "comparison",
    "contrib_attention", "control", "convolution", "counting", "detecting", "distinct", "division", "einsum",
    "expanding", "extremes", "gathering", "joining", "losses", "making", "matrix", "ml_encoders", "ml_models",
    "normalization", "ordering", "padding", "pool_indices", "pooling", "powers", "quantized", "quantized_integers",
    "quantized_operators", "randomness", "rearranging", "recurrent", "reductions", "resize", "rounding", "sampling",
    "scattering", "shapes", "slicing", "softmax", "spectra", "transcendental", "transposed_convolution", "trees",
    "trigonometry",
)  # fmt: skip


def table() -> dict[tuple[str, str], Lower]:
    """(domain, operator) -> how it is lowered. An operator is in one family alone."""
    found: dict[tuple[str, str], Lower] = {}
    for family in FAMILIES:
        operators = import_module(f"mlpack_edge.converters.tflite_from_onnx.operators.{family}").OPERATORS
        for name, lower in operators.items():
            domain, _, op_type = name.rpartition(":")
            assert (domain, op_type) not in found, f"{name} is in two families"
            found[(domain, op_type)] = lower
    return passing_codes(found)
