"""Activations and weights on fixed scales: QuantizeLinear and DequantizeLinear around the operators."""
