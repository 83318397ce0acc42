"""Tree ensembles in TFLite: read from ONNX, made to ask one kind of question, laid out as a node table, walked."""
