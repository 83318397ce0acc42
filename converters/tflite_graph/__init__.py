"""A TFLite model in memory, and how it becomes a file."""
