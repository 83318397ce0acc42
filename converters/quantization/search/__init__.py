"""Which layers may be quantized together within a budget."""
