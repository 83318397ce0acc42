"""Toward a device: targets that run a model elsewhere, and ARM without ARM."""
