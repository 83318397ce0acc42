"""scikit-learn to ONNX: our own converters first, skl2onnx for the leaves they do not cover."""
