"""Reshape in the layout at hand, where the axes that become others lie side by side in it."""

from __future__ import annotations

from collections.abc import Sequence

from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product, quotient
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, permuted

#: Axes of the one shape that become axes of the other.
Group = tuple[tuple[int, ...], tuple[int, ...]]


def regrouped(low: Lowering, value: Value, shape: Sequence[Size]) -> Value:
    """`value` reshaped; `[N, C, H, W]` held channel-last becomes `[N, C, H * W]` held channel-last without a transpose."""
    spec = Spec(value.dtype, tuple(shape))
    if spec.shape == value.shape and value.forms:
        return Value("", value.dtype, value.shape, value.array, value.elements, dict(value.forms))
    perm = value.layout
    groups = grouping(value.shape, spec.shape) if perm != value.plain else None
    made = None if groups is None else _moved(value.shape, perm, groups)
    if made is None:
        return low.value(low.reshape(low.tensor(value), spec.shape), spec)
    tensor = low.reshape(low.tensor(value, perm), permuted(spec.shape, made))
    return low.value(tensor, spec, made)


def grouping(before: Sequence[Size], after: Sequence[Size]) -> list[Group] | None:
    """The smallest runs of axes with equal products, in order; None where sizes known by name do not tell."""
    groups: list[Group] = []
    i = j = 0
    while i < len(before) or j < len(after):
        left, right = [i][: len(before) - i], [j][: len(after) - j]
        if not left or not right:
            rest = product(before[i:]) if left else product(after[j:])
            if rest != 1 or not groups:
                return None
            groups[-1] = (groups[-1][0] + tuple(range(i, len(before))), groups[-1][1] + tuple(range(j, len(after))))
            break
        i, j = i + 1, j + 1
        while (a := product(before[axis] for axis in left)) != (b := product(after[axis] for axis in right)):
            if a == 0 or b == 0:
                return None
            grow_left = _smaller(a, b)
            if grow_left is None:
                return None
            if grow_left and i < len(before):
                left.append(i)
                i += 1
            elif not grow_left and j < len(after):
                right.append(j)
                j += 1
            else:
                return None
        groups.append((tuple(left), tuple(right)))
    return groups


def _smaller(a: Size, b: Size) -> bool | None:
    if isinstance(a, int) and isinstance(b, int):
        return a < b
    if isinstance(a, int) != isinstance(b, int):
        return isinstance(a, int)  # the named one is a product to which the other has yet to grow
    if quotient(b, a) is not None:
        return True
    return False if quotient(a, b) is not None else None


def _moved(before: Sequence[Size], perm: Perm, groups: Sequence[Group]) -> Perm | None:
    """The layout of the result where each group lies in one piece and in order in `perm`; sizes of 1 lie anywhere."""
    wide = [axis for axis in perm if before[axis] != 1]
    order: list[tuple[int, tuple[int, ...]]] = []
    front: list[int] = []
    for source, target in groups:
        places = [wide.index(axis) for axis in source if before[axis] != 1]
        if not places:
            front.extend(target)
        elif places != list(range(places[0], places[0] + len(places))):
            return None
        else:
            order.append((places[0], target))
    return (*front, *(axis for _, target in sorted(order) for axis in target))
