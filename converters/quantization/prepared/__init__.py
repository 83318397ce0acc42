"""A graph made ready for quantization: opset, folded constants and normalizations, named nodes."""

from mlpack_edge.converters.quantization.prepared.prepare import Prepared, prepare, upgraded

__all__ = ["Prepared", "prepare", "upgraded"]
