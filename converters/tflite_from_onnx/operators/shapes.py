"""Operators that give the same elements another shape or order."""

from __future__ import annotations

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.sizes import Size, product, quotient
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value


def identity(node: Node) -> Value:
    """The same value under another name: nothing is written."""
    value = node.input(0)
    return Value("", value.dtype, value.shape, value.array, value.elements, dict(value.forms))


def transpose(node: Node) -> Value:
    """Nothing moves: the tensors that hold the value hold the transposed one in another layout."""
    value = node.input(0)
    perm = tuple(int(axis) for axis in node.attr("perm", list(reversed(range(value.rank)))))
    forms = {tuple(perm.index(axis) for axis in layout): tensor for layout, tensor in value.forms.items()}
    return Value("", value.dtype, tuple(value.shape[axis] for axis in perm), forms=forms)


def reshape(node: Node) -> Value:
    """Reshape-5 to Reshape-25: 0 keeps a size unless allowzero, -1 is what is left."""
    value, target = node.input(0), node.input(1).elements
    if target is None:
        spec = node.spec()
        shape = node.low.tensor(node.input(1))
        if shape.dtype != "int32":
            shape = node.low.emit("CAST", [shape], "int32", (len(spec.shape),))
        return node.low.emit_value("RESHAPE", [node.low.tensor(value), shape], spec)
    sizes: list[Size] = [
        value.shape[i] if size == 0 and not node.attr("allowzero", 0) else size for i, size in enumerate(target)
    ]
    if -1 in sizes:
        rest = quotient(product(value.shape), product(size for size in sizes if size != -1))
        sizes[sizes.index(-1)] = node.spec().shape[sizes.index(-1)] if rest is None else rest
    return node.low.value(node.low.reshape(node.low.tensor(value), sizes), Spec(value.dtype, tuple(sizes)))


OPERATORS = {
    "Identity": identity,
    "Reshape": reshape,
    "Transpose": transpose,
}
