"""Sizes that are known only by name: products of named sizes, so that shapes can be computed before they are known.

A size is an int, or text: `"batch"`, `"12*batch"`, `"batch*time"`, the factor first and the names in order. What is no
product (`batch + 1`) is a name of its own. Equal texts are equal sizes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

Size = int | str


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes."""
    factor, names = 1, Counter[str]()
    for size in sizes:
        other, more = _parsed(size)
        factor *= other
        names.update(more)
    return _text(factor, names)


def quotient(a: Size, b: Size) -> Size | None:
    """a / b, None where that is not known to be whole."""
    (factor, names), (divisor, others) = _parsed(a), _parsed(b)
    if divisor == 0 or factor % divisor or others - names:
        return None
    return _text(factor // divisor, names - others)


def calculated(operator: str, a: Size, b: Size) -> Size:
    """a + b, a - b or a // b: a number where it is known, else a name of its own."""
    if isinstance(a, int) and isinstance(b, int):
        return {"+": a + b, "-": a - b, "//": a // b if b else 0}[operator]
    if operator == "//":
        exact = quotient(a, b)
        if exact is not None:
            return exact
    if (operator in "+-" and b == 0) or (operator == "//" and b == 1):
        return a
    if operator == "+" and a == 0:
        return b
    if operator == "-" and a == b:
        return 0
    if operator in "+-" and isinstance(b, int) and b < 0:
        return calculated("-" if operator == "+" else "+", a, -b)
    return f"({named(a)}{operator}{named(b)})"


def terms(size: Size) -> tuple[str, Size, Size] | None:
    """(operator, a, b) of a size that `calculated` named, None of any other."""
    if not isinstance(size, str) or not (size.startswith("(") and size.endswith(")")):
        return None
    inner = size[1:-1]
    if min(accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in inner), default=0) < 0:
        return None  # the brackets at the ends are not one pair
    depth = 0
    for place, letter in enumerate(inner):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        operator = "//" if inner.startswith("//", place) else letter
        if depth == 0 and place and operator in ("+", "-", "//"):
            a, b = inner[:place].replace("·", "*"), inner[place + len(operator) :].replace("·", "*")
            return (operator, _read(a), _read(b)) if a and b else None
    return None


def _read(text: str) -> Size:
    return int(text) if text.removeprefix("-").isdigit() else text


def named(size: Size) -> str:
    """A size as a part of a name: without the sign of a product."""
    return str(size).replace("*", "·")


def is_known(sizes: Sequence[Size]) -> bool:
    return all(isinstance(size, int) for size in sizes)


def known(sizes: Sequence[Size]) -> tuple[int, ...] | None:
    """The sizes as numbers, None where one is not known."""
    numbers = tuple(size for size in sizes if isinstance(size, int))
    return numbers if len(numbers) == len(sizes) else None


def count(sizes: Sequence[Size]) -> int | None:
    """How many elements a shape has, None where that is not known."""
    numbers = known(sizes)
    return None if numbers is None else math.prod(numbers)


def broadcast(a: Sequence[Size], b: Sequence[Size]) -> tuple[Size, ...]:
    """The shape of `a` and `b` together by numpy's rule. A name against a number above 1 is that number.

    Raises ValueError where two numbers do not go together.
    """
    rank = max(len(a), len(b))
    left, right = (1,) * (rank - len(a)) + tuple(a), (1,) * (rank - len(b)) + tuple(b)
    return tuple(_together(x, y) for x, y in zip(left, right, strict=True))


def _together(a: Size, b: Size) -> Size:
    if a == b or b == 1:
        return a
    if a == 1:
        return b
    if isinstance(a, int) and isinstance(b, int):
        raise ValueError(f"sizes {a} and {b} do not go together")  # noqa: TRY004 - the types are right
    return a if isinstance(a, int) else b


def _parsed(size: Size) -> tuple[int, Counter[str]]:
    if isinstance(size, int):
        return size, Counter()
    head, *rest = size.split("*")
    return (int(head), Counter(rest)) if head.isdigit() else (1, Counter([head, *rest]))


def _text(factor: int, names: Counter[str]) -> Size:
    if not names or factor == 0:
        return factor
    parts = sorted(names.elements())
    return "*".join(parts if factor == 1 else [str(factor), *parts])
