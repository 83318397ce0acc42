"""What is known of the elements of shapes: integers that are computed from sizes, some of them known by name only.

Partial data propagation as ONNX's own inference has it, but with products of named sizes, so that
`Reshape(x, [batch, heads * width])` keeps its batch by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, calculated, product
from mlpack_edge.converters.tflite_from_onnx.values import Value

Elements = tuple[Size, ...]


def elements_of(node: Node) -> Elements | None:
    """The elements of the node's first output, where it is an integer value of rank 0 or 1 and they can be told."""
    rule = _RULES.get(node.op_type) if node.proto.domain in ("", "ai.onnx") else None
    return None if rule is None else rule(node)


def _known(value: Value | None) -> Elements | None:
    if value is None or value.rank > 1 or value.dtype not in ("int64", "int32"):
        return None
    return value.elements


def _shape(node: Node) -> Elements | None:
    shape = node.input(0).shape
    start, end = int(node.attr("start", 0)), node.attr("end")
    return shape[slice(start, None if end is None else int(end))]


def _size(node: Node) -> Elements | None:
    return (product(node.input(0).shape),)


def _same(node: Node) -> Elements | None:
    return _known(node.input(0))


def _cast(node: Node) -> Elements | None:
    return _known(node.input(0)) if node.spec().dtype in ("int64", "int32") else None


def _reshape(node: Node) -> Elements | None:
    found = _known(node.input(0))
    return found if found is not None and len(node.spec().shape) <= 1 else None


def _concat(node: Node) -> Elements | None:
    parts = [_known(value) for value in node.inputs]
    if any(part is None for part in parts):
        return None
    return tuple(size for part in parts if part is not None for size in part)


def _gather(node: Node) -> Elements | None:
    found, index = _known(node.input(0)), node.input(1).array
    if found is None or index is None or index.ndim > 1 or node.input(0).rank != 1:
        return None
    places = [int(place) for place in np.asarray(index).reshape(-1)]
    if not all(-len(found) <= place < len(found) for place in places):
        return None
    return tuple(found[place] for place in places)


def _slice(node: Node) -> Elements | None:
    found = _known(node.input(0))
    if found is None or node.input(0).rank != 1:
        return None
    bounds = []
    for place, name in ((1, "starts"), (2, "ends"), (4, "steps")):
        value = node.optional(place)
        if node.has(name):
            bounds.append(int(node.attr(name)[0]))
        elif value is None:
            bounds.append(1)
        elif value.array is None:
            return None
        else:
            bounds.append(int(value.array.reshape(-1)[0]))
    start, end, step = bounds
    if step < 0:  # as the standard has it, not Python: a start before the first place is the first place
        start = max(start, -len(found))
    stop = None if step < 0 and end < -len(found) else end
    return found[slice(start, stop, step)] if step else None


def _calculated(operator: str) -> Callable[[Node], Elements | None]:
    def rule(node: Node) -> Elements | None:
        pairs = _pairs(node)
        if pairs is None:
            return None
        if operator == "*":
            return tuple(product(pair) for pair in pairs)
        if operator == "//" and any(
            y == 0 or (isinstance(y, int) and y < 0) or (isinstance(x, int) and x < 0) for x, y in pairs
        ):
            return None
        return tuple(calculated(operator, x, y) for x, y in pairs)

    return rule


def _equal(node: Node) -> Elements | None:
    """Whether sizes are equal, where each can be told: no size that is known by name is below 0."""
    pairs = _pairs(node)
    made = [] if pairs is None else [_same_size(a, b) for a, b in pairs]
    if pairs is None or any(item is None for item in made):
        return None
    return tuple(int(bool(item)) for item in made)


def _same_size(a: Size, b: Size) -> bool | None:
    if a == b:
        return True
    if isinstance(a, int) and isinstance(b, int):
        return False
    number = a if isinstance(a, int) else b
    name = b if isinstance(a, int) else a
    plain = isinstance(name, str) and "(" not in name  # a name in brackets is a difference, which may be below 0
    return False if isinstance(number, int) and number < 0 and plain else None


def _where(node: Node) -> Elements | None:
    condition, a, b = node.input(0).array, _known(node.input(1)), _known(node.input(2))
    if condition is None or condition.ndim > 1 or a is None or b is None:
        return None
    chosen = [bool(item) for item in condition.reshape(-1)]
    width = max(len(chosen), len(a), len(b))
    if {len(chosen), len(a), len(b)} - {1, width} or node.spec().shape not in ((), (width,)):
        return None
    wide = [list(part) * (width // len(part)) for part in (chosen, a, b)]
    return tuple(x if taken else y for taken, x, y in zip(*wide, strict=True))


def _pairs(node: Node) -> list[tuple[Size, Size]] | None:
    """The elements of two inputs that are broadcast to rank 0 or 1."""
    a, b = _known(node.input(0)), _known(node.input(1))
    if a is None or b is None:
        return None
    width = max(len(a), len(b))
    if {len(a), len(b)} - {1, width} or node.spec().shape not in ((), (width,)):
        return None
    return list(zip(a * (width if len(a) == 1 else 1), b * (width if len(b) == 1 else 1), strict=True))


def _expand(node: Node) -> Elements | None:
    found, shape = _known(node.input(0)), node.spec().shape
    if found is None or len(shape) > 1 or not all(isinstance(size, int) and size <= 64 for size in shape):
        return None
    return found * int(shape[0]) if len(shape) == 1 and len(found) == 1 else found


def _maximum(node: Node) -> Elements | None:
    """Of sizes: `Max(1 - batch, 0)` is 0, because no size of a TFLite input is 0. Names that are made up here, of what
    is counted when the model runs, begin with a question mark; they may well be 0."""
    parts = [_known(value) for value in node.inputs]
    if node.spec().shape not in ((), (1,)) or any(part is None or len(part) != 1 for part in parts):
        return None
    sizes = [part[0] for part in parts if part is not None]
    most = max((size for size in sizes if isinstance(size, int)), default=-1)
    others = {size for size in sizes if not isinstance(size, int)}
    if most >= 0:
        others = {size for size in others if not _NOT_ABOVE_0.fullmatch(size)}
    return None if others else (most,)


#: 1 less a size, or a product of sizes.
_NOT_ABOVE_0 = re.compile(r"\(1-[^()?]+\)")


def _reduce_product(node: Node) -> Elements | None:
    found = _known(node.input(0))
    whole = found is not None and node.input(0).rank == 1 and node.spec().shape in ((), (1,))
    return (product(found),) if whole and found is not None else None


_RULES: dict[str, Callable[[Node], Elements | None]] = {
    "Shape": _shape,
    "Size": _size,
    "Identity": _same,
    "Squeeze": _same,
    "Unsqueeze": _reshape,
    "Cast": _cast,
    "Reshape": _reshape,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Mul": _calculated("*"),
    "Add": _calculated("+"),
    "Sub": _calculated("-"),
    "Div": _calculated("//"),
    "Max": _maximum,
    "Equal": _equal,
    "Expand": _expand,
    "ReduceProd": _reduce_product,
    "Where": _where,
}
