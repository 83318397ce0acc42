"""Stored scores against labels that arrive later."""
