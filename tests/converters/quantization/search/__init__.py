"""The search for the smallest model within a budget."""
