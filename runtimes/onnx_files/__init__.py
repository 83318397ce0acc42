"""Open ONNX files that were not made here, safely."""
