"""Arrow columns into a model and its outputs back, bit by bit the same whatever the batch."""
