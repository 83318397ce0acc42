"""Schemes that need no data: weights as codes or float16, activations quantized while the model runs."""
