"""Rewrites of a lowered graph that keep what it computes."""
