"""Tree ensembles of any library as one set of flat arrays, and that as ONNX."""
