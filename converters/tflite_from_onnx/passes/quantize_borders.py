"""Codes at the border of the model, and codes that are an answer: exact, and safe from numbers that kernels overflow on."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import (
    LIMITS,
    CodedEdges,
    is_shift,
    one_scale,
    scale_of,
    zero_of,
)
from mlpack_edge.converters.tflite_from_onnx.passes.dead import drop_dead
from mlpack_edge.converters.tflite_from_onnx.passes.intervals import Intervals
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: So many steps are far from overflowing an int32, whatever the roundings on the way.
_SAFE_STEPS = float(1 << 30)


def name_grids(graph: Graph) -> bool:
    """Inputs and outputs of the model that are codes carry their scale, instead of a CAST that changes nothing else.

    An input only where nobody reads its bare integers. Whether any CAST went.
    """
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        before = op.inputs[0] if op.kind == "CAST" and op.inputs else None
        if before is None or before.dtype != op.output.dtype or before.dtype not in LIMITS:
            continue
        after = op.output
        if before in graph.inputs and before.quantization is None and edges.sole_reader(before) is op:
            if after not in edges.outputs:
                before.quantization = after.quantization
                edges.bypass(op)
        elif (
            after in edges.outputs
            and after.quantization is None
            and before.quantization is not None
            and edges.bypass(op)
        ):
            after.quantization = before.quantization
    return edges.sweep()


def make_exact(graph: Graph, real: AbstractSet[Tensor] = frozenset()) -> None:
    """The QUANTIZE and DEQUANTIZE operators that are left, when all is done. real: outputs that are real numbers in the
    source, so that nobody asks for their codes to the last one.

    Where somebody reads the integers themselves, ONNX's rounding (halves to even) is computed step by step: QUANTIZE
    rounds them away from 0 without XNNPACK. Elsewhere its input is bounded: the kernel's conversion to int32
    overflows at 2**31 steps, and would give the lowest code for the largest numbers.
    """
    edges = CodedEdges(graph)
    intervals = Intervals(edges)
    for op in list(graph.ops):
        maker = edges.maker(op.inputs[0]) if op.kind == "DEQUANTIZE" else None
        if maker is not None and is_shift(maker):
            edges.read(op, 0, maker.inputs[0])
        source = op.inputs[0] if op.kind == "QUANTIZE" else None
        if source is None or source.dtype != "float32" or not one_scale(op.output):
            continue
        if _is_answer(edges, op.output, set(), real):
            _compute(edges, op, source)
        elif max(map(abs, intervals.of(source))) > _SAFE_STEPS * scale_of(op.output):
            _bound(edges, op, source)
    edges.sweep()
    drop_dead(graph)


def _bound(edges: CodedEdges, op: Op, source: Tensor) -> None:
    """Let the QUANTIZE read its input between the reals just outside of its codes.

    The conversion overflows to the lowest int32 (x86-64), or saturates (Arm); then the zero point is added. Far below the
    codes that gives the lowest code, as it should, unless the sum with a zero point below 0 wraps around.
    """
    codes = op.output
    zero, (least, most) = zero_of(codes), LIMITS[codes.dtype]
    bounds = [("MINIMUM", most - zero + 1), ("MAXIMUM", least - zero - 1)]
    for kind, steps in bounds if zero < 0 else bounds[:1]:
        bounded = Tensor("", "float32", source.shape)
        edges.put_before(op, Op(kind, [source, _number(steps * scale_of(codes))], [bounded]))
        source = bounded
    edges.read(op, 0, source)


def _is_answer(edges: CodedEdges, codes: Tensor, seen: set[Tensor], real: AbstractSet[Tensor]) -> bool:
    """Whether somebody reads codes as integers: the user, or a CAST, at once or behind what moves them."""
    if codes in edges.outputs and codes not in real:
        return True
    seen.add(codes)
    for reader in edges.readers(codes):
        if reader.kind == "CAST":
            return True
        for made in reader.outputs:
            same = made.dtype in ("int8", "uint8") and one_scale(made) and scale_of(made) == scale_of(codes)
            if same and reader.kind not in _CALCULATING and made not in seen and _is_answer(edges, made, seen, real):
                return True
    return False


#: Operators whose kernels round by themselves: behind them a tie is no more than a step.
_CALCULATING = frozenset({
    "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MEAN", "MUL", "SUB",
})  # fmt: skip


def _compute(edges: CodedEdges, op: Op, source: Tensor) -> None:
    """round(x / scale) + zero_point within the limits of the type."""
    codes = op.output
    least, most = LIMITS[codes.dtype]
    steps: list[tuple[str, list[Tensor]]] = [
        ("DIV", [_number(scale_of(codes))]), ("ROUND", []), ("ADD", [_number(zero_of(codes))]),
        ("MAXIMUM", [_number(least)]), ("MINIMUM", [_number(most)]),
    ]  # fmt: skip
    tensor = source
    for kind, operands in steps:
        made = Tensor("", "float32", source.shape)
        edges.put_before(op, Op(kind, [tensor, *operands], [made]))
        tensor = made
    edges.read(op, 0, tensor)
    op.kind, op.options = "CAST", {"in_data_type": "float32", "out_data_type": codes.dtype}


def _number(value: float) -> Tensor:
    return Tensor("number", "float32", (), np.array(value, np.float32))
