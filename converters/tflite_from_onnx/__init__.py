"""Lower an ONNX model to TFLite."""
