"""Weights that are codes or halves in the source are held so again, wherever the lowering has moved them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.operators.quantized_codes import FEWEST
from mlpack_edge.converters.tflite_from_onnx.passes.codes import LIMITS
from mlpack_edge.converters.tflite_from_onnx.passes.permuted_scales import permuted_grid
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor

#: Filters of transposed convolutions are spread over a square of this many places at most.
_MOST_TIMES = 16


def stored_constants(graphs: Sequence[Graph]) -> list[Op]:
    """The DEQUANTIZE operators of constants, read by somebody or not: each tells a constant's name, size and grid."""
    return [op for graph in graphs for op in graph.ops if op.kind == "DEQUANTIZE" and _is_constant(op)]


def restore_codes(graph: Graph, known: Sequence[Op]) -> None:
    """Float constants that are exactly `scale * (code - zero_point)` of a constant that was dequantized become codes, and
    those that a float16 number holds exactly become float16, where the source stores any so.

    known: as `stored_constants` finds them. A constant is the same numbers in another order, or a part of them, or with
    zeros in between, if it has that name or about that size, and every element lies on the grid: what is computed does not
    change by a bit. The axis of several scales, and their order, is found by that as well.
    """
    if not known:
        return
    halves = any(op.inputs[0] is not None and op.inputs[0].dtype == "float16" for op in known)
    codes = [op for op in known if op.inputs[0] is not None and op.inputs[0].dtype == "int8"]
    made: dict[Tensor, Op | None] = {}
    for op in graph.ops:
        for place, tensor in enumerate(op.inputs):
            if tensor is None or tensor.data is None or tensor.dtype != "float32" or not tensor.data.size:
                continue
            if tensor not in made:
                made[tensor] = _dequantize(codes, tensor) or (_halves(tensor) if halves else None)
            source = made[tensor]
            if source is not None:
                op.inputs[place] = source.output
    graph.ops[:0] = [op for op in made.values() if op is not None]


def _is_constant(op: Op) -> bool:
    codes = op.inputs[0]
    if codes is None or codes.data is None:
        return False
    return codes.dtype == "float16" or (codes.quantization is not None and codes.dtype == "int8")


def _halves(tensor: Tensor) -> Op | None:
    """The DEQUANTIZE of a constant that float16 holds to the last bit."""
    assert tensor.data is not None
    if tensor.data.size < FEWEST:
        return None
    with np.errstate(over="ignore"):
        narrow = tensor.data.astype(np.float16)
    if not np.array_equal(narrow.astype(np.float32), tensor.data):
        return None
    held = Tensor(tensor.name, "float16", tensor.shape, narrow)
    return Op("DEQUANTIZE", [held], [Tensor("", "float32", tensor.shape)])


def _dequantize(known: list[Op], tensor: Tensor) -> Op | None:
    """The DEQUANTIZE that makes the constant, by what is known of constants of its name or size."""
    named = [op for op in known if op.output.name and op.output.name == tensor.name]
    assert tensor.data is not None
    size = tensor.data.size
    sizes = [(op, int(np.prod(op.inputs[0].shape))) for op in known if op.inputs[0] is not None]
    fitting = [*named, *(op for op, own in sizes if own == size)]
    fitting += [op for op, own in sizes if own < size <= _MOST_TIMES * own]  # spread out, with zeros in between
    for op in dict.fromkeys(fitting):
        codes = op.inputs[0]
        assert codes is not None and codes.quantization is not None
        for grid in _grids(codes.quantization, tensor.shape):
            found = _codes(tensor, grid)
            if found is not None:
                return _held(codes, tensor, found, grid)
    for op in named:
        codes = op.inputs[0]
        assert codes is not None and codes.quantization is not None
        other = permuted_grid(codes.quantization, tensor.data)
        found = None if other is None else _codes(tensor, other)
        if other is not None and found is not None:
            return _held(codes, tensor, found, other)
    return None


def _held(codes: Tensor, tensor: Tensor, found: np.ndarray, grid: Quantization) -> Op:
    held = Tensor(codes.name or tensor.name, "int8", tensor.shape, found, grid)
    return Op("DEQUANTIZE", [held], [Tensor("", "float32", tensor.shape)])


def _grids(grid: Quantization, shape: tuple[int, ...]) -> Iterator[Quantization]:
    """The grid along each axis that has a place for each of its scales, or one for each several times."""
    if not grid.per_channel:
        yield grid
        return
    for axis, size in enumerate(shape):
        times, rest = divmod(size, grid.scale.size)
        if rest or not times:
            continue
        yield Quantization(np.tile(grid.scale, times), np.tile(grid.zero_point, times), axis)
        if times > 1:
            yield Quantization(np.repeat(grid.scale, times), np.repeat(grid.zero_point, times), axis)


def _codes(tensor: Tensor, grid: Quantization) -> np.ndarray | None:
    """The codes of a constant on a grid; None where it does not lie on it."""
    assert tensor.data is not None
    along = [-1 if grid.per_channel and axis == grid.axis else 1 for axis in range(len(tensor.shape))]
    scale, zero = grid.scale.reshape(along), grid.zero_point.reshape(along)
    corner = tuple(slice(None) if size < 0 else slice(0, 2) for size in along)
    if _steps(tensor.data[corner], scale) is None:
        return None  # most constants are told apart by a few numbers
    steps = _steps(tensor.data, scale)
    if steps is None:
        return None
    codes = steps + zero.astype(np.float32)
    least, most = LIMITS["int8"]
    if (codes < least).any() or (codes > most).any():
        return None
    return codes.astype(np.int8)


def _steps(data: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    """Numbers as whole multiples of their scales; None where one is not one, to the last bit as float32 computes it."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = np.rint(data / scale)
        return steps if np.array_equal(steps * scale, data) else None


def drop_small_codes(graph: Graph) -> None:
    """DEQUANTIZE of a small constant becomes the float constant; larger ones stay codes, a quarter of the size."""
    reals: dict[Tensor, Tensor] = {}
    for op in list(graph.ops):
        codes = op.inputs[0] if op.kind == "DEQUANTIZE" else None
        if codes is None or codes.data is None or codes.data.size >= FEWEST or op.output in graph.outputs:
            continue
        grid = codes.quantization
        if grid is None or codes.dtype not in LIMITS:
            continue
        along = [-1 if grid.per_channel and axis == grid.axis else 1 for axis in range(codes.data.ndim)]
        scale, zero = grid.scale.reshape(along), grid.zero_point.reshape(along)
        data = (codes.data.astype(np.int64) - zero).astype(np.float32) * scale
        reals[op.output] = Tensor(op.output.name, "float32", codes.shape, data.astype(np.float32))
        graph.ops.remove(op)
    for op in graph.ops:
        op.inputs[:] = [tensor if tensor is None else reals.get(tensor, tensor) for tensor in op.inputs]
