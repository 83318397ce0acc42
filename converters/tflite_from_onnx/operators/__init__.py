"""How each ONNX operator is lowered, a file per family."""
