"""Matrix products: MatMul, Gemm and ONNX Runtime's FusedMatMul."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.node import Node
from mlpack_edge.converters.tflite_from_onnx.operators.products import matrix_product, swapped, with_rank
from mlpack_edge.converters.tflite_from_onnx.operators.reductions import FLOATS
from mlpack_edge.converters.tflite_from_onnx.values import Value, constant


def matmul(node: Node) -> Value:
    """MatMul-1 to MatMul-13, as numpy.matmul: an operand of rank 1 is a row in front and a column behind."""
    return _matmul(node, node.input(0), node.input(1))


def _matmul(node: Node, a: Value, b: Value) -> Value:
    left = with_rank(node, a, (1, *a.shape)) if a.rank == 1 else a
    right = with_rank(node, b, (*b.shape, 1)) if b.rank == 1 else b
    made = matrix_product(node, left, right)
    shape = made.shape
    if b.rank == 1:
        shape = shape[:-1]
    if a.rank == 1:
        shape = shape[:-2] if b.rank == 1 else (*shape[:-2], shape[-1])
    return with_rank(node, made, shape)


def gemm(node: Node) -> Value:
    """Gemm-1 to Gemm-13: alpha * A' B' + beta * C, C broadcast to [M, N]."""
    a, b, c = node.input(0), node.input(1), node.optional(2)
    alpha, beta = float(node.attr("alpha", 1.0)), float(node.attr("beta", 1.0))
    if a.dtype not in FLOATS and (not alpha.is_integer() or not beta.is_integer()):
        raise node.refuse(f"its factors {alpha} and {beta} are no whole numbers, and its matrices are {a.dtype}")
    a = swapped(a) if node.attr("transA", 0) else a
    b = swapped(b) if node.attr("transB", 0) else b
    a, b = _scaled_one(node, a, b, alpha)
    if c is None or beta == 0:
        return matrix_product(node, a, b)
    c = _scaled(node, c, beta)
    bias = _bias(c, b) if a.dtype in FLOATS else None
    made = matrix_product(node, a, b, bias)
    return made if bias is not None else node.low.op("Add", made, c)


def _bias(c: Value, b: Value) -> Value | None:
    """C as one number a column, where it is constant and the same in each row."""
    width = b.shape[-1]
    if c.array is None or not isinstance(width, int):
        return None
    if c.array.size != 1 and (c.array.size != width or c.array.shape[-1] != width):
        return None  # a number for each row, or each element
    return constant(c.name, np.ascontiguousarray(np.broadcast_to(c.array.reshape(-1), (width,))))


def _scaled_one(node: Node, a: Value, b: Value, alpha: float) -> tuple[Value, Value]:
    """The factor goes to the constant operand where there is one, to the first else."""
    if alpha == 1:
        return a, b
    return (a, _scaled(node, b, alpha)) if b.array is not None else (_scaled(node, a, alpha), b)


def _scaled(node: Node, value: Value, factor: float) -> Value:
    if factor == 1:
        return value
    number = np.array(factor, value.dtype)
    if value.array is not None:
        return constant(value.name, (value.array * number).astype(value.array.dtype))
    return node.low.op("Mul", value, number)


def fused_matmul(node: Node) -> Value:
    """com.microsoft FusedMatMul-1: alpha * A' B', each transposed in its last two axes, or batch axes behind the rows."""
    sides = []
    for place, side in ((0, "A"), (1, "B")):
        value = node.input(place)
        if node.attr(f"transBatch{side}", 0):
            order = [*range(1, value.rank - 1), 0, value.rank - 1]
            value = node.low.op("Transpose", value, perm=order)
        sides.append(swapped(value) if node.attr(f"trans{side}", 0) and value.rank > 1 else value)
    return _matmul(node, *_scaled_one(node, sides[0], sides[1], float(node.attr("alpha", 1.0))))


OPERATORS = {
    "MatMul": matmul,
    "Gemm": gemm,
    "com.microsoft:FusedMatMul": fused_matmul,
}
