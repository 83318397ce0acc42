"""PyTorch modules and exported programs to ONNX."""
