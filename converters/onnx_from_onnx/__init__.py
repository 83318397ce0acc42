"""ONNX files brought up to date: opset, clean graph, plain outputs, named shapes."""
