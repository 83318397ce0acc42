"""What a model file holds and whether a runtime opens it."""
