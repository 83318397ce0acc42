"""How good a quantized model still is: metrics of labels, agreement with the float model per output slice."""
