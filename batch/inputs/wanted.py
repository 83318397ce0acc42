"""What a column of a text format is wanted as: by the model that takes it, never by its first cells. Loads no library."""

from __future__ import annotations

TEXT = "text"
#: Numbers: all of them feed floats, WHOLE feeds whole numbers, TRUTH (true and false) bools. The narrower the later.
NUMBER, WHOLE, TRUTH = "number", "whole", "truth"
NUMBERS = (NUMBER, WHOLE, TRUTH)
_ORDER = (*NUMBERS, TEXT)


def narrower(first: str, second: str) -> str:
    """What two models can both take, where anything can be."""
    return max(first, second, key=_ORDER.index)
