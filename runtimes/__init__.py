"""Run a model file: ONNX Runtime, the source framework as reference; isolated workers; comparing."""
