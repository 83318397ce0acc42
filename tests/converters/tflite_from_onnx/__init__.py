"""The lowering from ONNX to TFLite."""
