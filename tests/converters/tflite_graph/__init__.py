"""TFLite models in memory and their files."""
