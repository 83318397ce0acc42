"""Smaller and faster models that are still the same: quantization, expressed in ONNX, judged on rows."""
