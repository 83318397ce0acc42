"""Make a model file: sources to ONNX."""
