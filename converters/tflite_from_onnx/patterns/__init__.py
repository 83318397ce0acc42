"""What exporters write with several ONNX nodes where TFLite has one operator: recognised before it is lowered."""
