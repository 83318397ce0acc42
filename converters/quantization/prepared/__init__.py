"""A graph made ready for quantization: opset, folded constants and normalizations, named nodes."""
