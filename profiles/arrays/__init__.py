"""Whole columns and many reports at once, with numpy: the same counts and bytes as the rules a row at a time."""
