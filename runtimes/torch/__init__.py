"""Load and run PyTorch modules, weights and exported programs."""
