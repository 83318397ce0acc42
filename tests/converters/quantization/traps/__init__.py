"""Traps of quantization that no other test holds down; the table of all is `tests/converters/quantization/test_traps.py`."""
