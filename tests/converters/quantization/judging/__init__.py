"""The judge of quantized models."""
