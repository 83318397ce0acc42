"""TFLite files of quantized models."""
