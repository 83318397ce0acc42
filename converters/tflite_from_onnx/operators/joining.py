"""Operators that join values along an axis or take them apart, in the layout at hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx import sizes
from mlpack_edge.converters.tflite_from_onnx.emitter import arranged
from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.shapes import renamed
from mlpack_edge.converters.tflite_from_onnx.operators.slicing import part
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, calculated, product, quotient
from mlpack_edge.converters.tflite_from_onnx.values import Perm, Spec, Value, permuted, physical

#: XNNPACK lets a whole model fail where these have more dimensions.
_MOST_DIMENSIONS = 6


def concat(node: Node) -> Value:
    """Concat-4 to Concat-13; what is empty along the axis is left out."""
    values = [node.input(place) for place in range(len(node.inputs))]
    axis = node.axis(1)
    kept = [value for value in values if value.shape[axis] != 0] or values[:1]
    if len(kept) == 1:
        return renamed(kept[0])
    rank = kept[0].rank
    perm = arranged(node.low, kept, rank)
    place = physical(axis, perm)
    total: Size = 0
    for value in kept:
        total = calculated("+", total, value.shape[axis])
    merged = tuple(_shared([value.shape[other] for value in kept]) for other in range(rank))
    shape = tuple(total if other == axis else size for other, size in enumerate(merged))
    spec = Spec(values[0].dtype, shape)
    tensors = [node.low.tensor(value, perm) for value in kept]
    held_shape = permuted(shape, perm)
    if rank <= _MOST_DIMENSIONS:
        return node.low.emit_value("CONCATENATION", tensors, spec, perm, axis=place)
    flat = [
        node.low.reshape(tensor, _folded(permuted(value.shape, perm), place))
        for value, tensor in zip(kept, tensors, strict=True)
    ]
    joined = node.low.emit("CONCATENATION", flat, spec.dtype, _folded(held_shape, place), axis=1)
    return node.low.value(node.low.reshape(joined, held_shape), spec, perm)


def _shared(found: Sequence[Size]) -> Size:
    """One size that several values have: a number where one of them says it."""
    return next((size for size in found if isinstance(size, int)), found[0])


def _folded(shape: Sequence[Size], axis: int) -> tuple[Size, ...]:
    return product(shape[:axis]), shape[axis], product(shape[axis + 1 :])


def split(node: Node) -> list[Value | None]:
    """Split-2 to Split-18: parts of given sizes, of one size, or as many as there are outputs with a shorter last."""
    value = node.input(0)
    axis = node.axis(0)
    size = value.shape[axis]
    parts = _parts(node, size)
    if len(parts) != node.outputs:
        raise node.refuse(f"it has {node.outputs} outputs for {len(parts)} parts")
    if len(parts) == 1:
        return [renamed(value)]
    known = sizes.known(parts)
    if known is not None and isinstance(size, int) and sum(known) != size:
        raise node.refuse(f"its parts {list(known)} do not add up to {size}")
    perm = value.layout
    equal = len(set(parts)) == 1
    if value.dtype == "bool" or value.rank > _MOST_DIMENSIONS or (known is not None and 0 in known):
        if known is None:
            raise node.refuse(f"TFLite splits no {value.dtype} of {value.rank} dimensions whose sizes are open")
        return [
            part(node, value, axis, start, end)
            for start, end in zip(np.cumsum([0, *known[:-1]]).tolist(), np.cumsum(known).tolist(), strict=True)
        ]
    return _split(node, value, axis, parts, perm, equal)


def _split(node: Node, value: Value, axis: int, parts: Sequence[Size], perm: Perm, equal: bool) -> list[Value | None]:
    place = np.array(physical(axis, perm), np.int32)
    specs = [Spec(value.dtype, (*value.shape[:axis], size, *value.shape[axis + 1 :])) for size in parts]
    outputs = [(spec.dtype, permuted(spec.shape, perm)) for spec in specs]
    tensor = node.low.tensor(value, perm)
    if equal:
        made = node.low.emit_many("SPLIT", [place, tensor], outputs, num_splits=len(parts))
    else:
        lengths = node.low.shape_tensor(parts)
        made = node.low.emit_many("SPLIT_V", [tensor, lengths, place], outputs, num_splits=len(parts))
    return [node.low.value(one, spec, perm) for one, spec in zip(made, specs, strict=True)]


def _parts(node: Node, size: Size) -> list[Size]:
    """The sizes of the parts."""
    given: Sequence[Size] | None = None
    if node.has("split"):
        given = [int(item) for item in node.attr("split")]
    elif node.optional(1) is not None:
        given = node.input(1).elements
        if given is None:
            node.constant(1, "split")
    if given is not None:
        return list(given)
    count = int(node.attr("num_outputs", node.outputs))
    if isinstance(size, int):
        each = -(-size // count)
        if node.version < 18 and size % count:
            raise node.refuse(f"{size} is no multiple of its {count} outputs")
        return [max(min(each, size - start * each), 0) for start in range(count)]
    each_size = quotient(size, count)
    if each_size is None:
        raise node.refuse(
            f"the size {size} that it splits into {count} is known only when the model runs",
            f"fix it with --shape {size}=...",
        )
    return [each_size] * count


OPERATORS = {
    "Concat": concat,
    "Split": split,
}
