"""Operators that move elements work on codes: DEQUANTIZE goes behind them, QUANTIZE in front; where both meet both go."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.codes import (
    LIMITS,
    CodedEdges,
    is_shift,
    one_scale,
    same_grid,
    scale_of,
    zero_of,
)
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Tensor

#: Operators that give elements of their input, or 0 -> where that input is.
_MOVING = {
    "BROADCAST_TO": 0, "DEPTH_TO_SPACE": 0, "EXPAND_DIMS": 0, "GATHER": 0, "MAX_POOL_2D": 0, "MIRROR_PAD": 0, "PAD": 0,
    "PADV2": 0, "REDUCE_MAX": 0, "REDUCE_MIN": 0, "RESHAPE": 0, "RESIZE_NEAREST_NEIGHBOR": 0, "SLICE": 0,
    "SPACE_TO_DEPTH": 0, "SPLIT": 1, "SPLIT_V": 0, "SQUEEZE": 0, "STRIDED_SLICE": 0, "TILE": 0, "TRANSPOSE": 0,
}  # fmt: skip
#: Operators whose result is made of elements of all their inputs.
_JOINING = frozenset({"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"})
#: Operators that only tell where elements lie.
_FINDING = frozenset({"ARG_MAX", "ARG_MIN"})
#: QUANTIZE may go in front of these: one input, one output, each element where it was or somewhere else (the largest of
#: some has the largest code), and zeros, which have a code of their own.
_LIFTED = frozenset({
    "DEPTH_TO_SPACE", "EXPAND_DIMS", "MAX_POOL_2D", "MIRROR_PAD", "PAD", "RESHAPE", "SLICE", "SPACE_TO_DEPTH", "SQUEEZE",
    "STRIDED_SLICE", "TRANSPOSE",
})  # fmt: skip
#: Of a step: numbers so near to a code have that code, whatever the rounding.
_LESS_THAN_HALF = 0.499
#: Operators that clip -> between which numbers.
_CLIPPING = {"RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_0_TO_1": (0.0, 1.0), "RELU_N1_TO_1": (-1.0, 1.0)}


def move_codes(graph: Graph) -> bool:
    """See above. What is computed stays the same, but for a code where two different grids meet: that is rounded once
    from the real number of its source, half away from 0. Whether anything changed."""
    edges = CodedEdges(graph)
    for op in list(graph.ops):
        if edges.is_removed(op):
            continue
        if op.kind == "QUANTIZE":
            edges.changed |= _meet(edges, op) or _unclip(edges, op) or _lift(edges, op)
        elif op.kind == "SELECT_V2":
            edges.changed |= _without_nan(edges, op)
        elif op.kind in _MOVING or op.kind in _JOINING:
            edges.changed |= _sink(edges, op)
        elif op.kind in _FINDING:
            edges.changed |= _find(edges, op)
    return edges.sweep()


def _meet(edges: CodedEdges, op: Op) -> bool:
    """A QUANTIZE of real numbers that have codes reads those; it goes where it would give them back."""
    before, after = op.inputs[0], op.output
    maker = edges.maker(before)
    if is_shift(op) and is_shift(maker):
        assert maker is not None
        before = maker.inputs[0]
        assert before is not None
        edges.read(op, 0, before)
        edges.bypass(op)
        return True
    codes = edges.codes(before)
    if codes is None or not one_scale(codes) or not one_scale(after) or codes.data is not None:
        return False
    edges.read(op, 0, codes)
    if same_grid(codes, after):
        edges.bypass(op)
    return True


def _lift(edges: CodedEdges, op: Op) -> bool:
    """QUANTIZE goes in front of an operator that moves what it alone reads."""
    moved = op.inputs[0]
    mover = edges.maker(moved)
    if moved is None or mover is None or mover.kind not in _LIFTED or edges.quantizer(moved) is not op:
        return False
    source, after = mover.inputs[0], op.output
    if mover.options.get("fused_activation_function", "NONE") != "NONE":
        return False
    if source is None or source.dtype != "float32" or source.data is not None or edges.codes(source) is not None:
        return False
    codes = Tensor("", after.dtype, source.shape, None, after.quantization)
    edges.put_before(mover, Op("QUANTIZE", [source], [codes]))
    edges.read(mover, 0, codes)
    edges.absorb(mover, op)
    return True


def _unclip(edges: CodedEdges, op: Op) -> bool:
    """QUANTIZE reads what is clipped where its codes end within the clip: they saturate there by themselves."""
    clipped, after = op.inputs[0], op.output
    clip = edges.maker(clipped)
    if clipped is None or clip is None or edges.quantizer(clipped) is not op or after.dtype != "int8":
        return False
    bounds = _bounds(clip)
    if bounds is None or clip.options.get("fused_activation_function", "NONE") != "NONE":
        return False
    least, most = ((limit - zero_of(after)) * scale_of(after) for limit in LIMITS[after.dtype])
    half = scale_of(after) * _LESS_THAN_HALF
    place, low, high = bounds
    if low > least + half or high < most - half:
        return False
    edges.read(op, 0, clip.inputs[place])
    return True


def _bounds(clip: Op) -> tuple[int, float, float] | None:
    """(place of the input that an operator clips, between which numbers); None where it does something else."""
    if clip.kind in _CLIPPING:
        return (0, *_CLIPPING[clip.kind])
    if clip.kind not in ("MAXIMUM", "MINIMUM"):
        return None
    for place, bound in enumerate(clip.inputs):
        given = clip.inputs[1 - place]
        if bound is None or bound.data is None or bound.data.size != 1 or not np.isfinite(bound.data).all():
            continue
        if given is None or given.data is not None or given.shape != clip.output.shape:
            continue
        number = float(bound.data.reshape(-1)[0])
        return (1 - place, number, np.inf) if clip.kind == "MAXIMUM" else (1 - place, -np.inf, number)
    return None


def _sink(edges: CodedEdges, op: Op) -> bool:
    """An operator that moves the real numbers of codes moves the codes."""
    if op.options.get("fused_activation_function", "NONE") != "NONE" or op.output.dtype != "float32":
        return False
    places = range(len(op.inputs)) if op.kind in _JOINING else [_MOVING[op.kind]]
    codes = [edges.codes(op.inputs[place]) for place in places]
    first = codes[0]
    if first is None or not one_scale(first) or first.dtype == "int16":
        return False
    if first.data is not None and op.kind != "GATHER":
        return False
    if any(other is None or not same_grid(first, other) for other in codes):
        return False
    if op.kind == "PADV2" and not _pad_with_code(edges, op, first):
        return False
    for place, tensor in zip(places, codes, strict=True):
        edges.read(op, place, tensor)
    for reals in list(op.outputs):
        held = Tensor("", first.dtype, reals.shape, None, first.quantization)
        edges.make(op, reals, held)
        edges.put_after(op, Op("DEQUANTIZE", [held], [reals]))
    return True


def _pad_with_code(edges: CodedEdges, op: Op, codes: Tensor) -> bool:
    """The number that is padded with as a code: one on the grid; or below it, where a maximum pool alone reads it."""
    value = op.inputs[2]
    if value is None or value.data is None or value.data.size != 1:
        return False
    real = float(value.data.reshape(-1)[0])
    least, most = LIMITS[codes.dtype]
    lowest = (least - zero_of(codes)) * scale_of(codes)
    reader = edges.sole_reader(op.output)
    if reader is not None and reader.kind == "MAX_POOL_2D" and real <= lowest:
        code = least
    else:
        steps = real / scale_of(codes)
        code = round(steps) + zero_of(codes) if np.isfinite(steps) else most + 1
        if not least <= code <= most or np.float32((code - zero_of(codes)) * scale_of(codes)) != np.float32(real):
            return False
    edges.read(
        op, 2, Tensor(value.name, codes.dtype, value.shape, np.full(value.shape, code, codes.dtype), codes.quantization)
    )
    return True


def _without_nan(edges: CodedEdges, op: Op) -> bool:
    """SELECT_V2 of what is NaN (x != x) among real numbers of codes: there is none, and the other side is taken."""
    test = edges.maker(op.inputs[0])
    other = op.inputs[2]
    if test is None or test.kind != "NOT_EQUAL" or test.inputs[0] is not test.inputs[1] or other is None:
        return False
    if edges.codes(test.inputs[0]) is None or other.shape != op.output.shape:
        return False
    edges.read(op, 0, other)
    edges.bypass(op)
    return True


def _find(edges: CodedEdges, op: Op) -> bool:
    codes = edges.codes(op.inputs[0])
    if codes is None or not one_scale(codes) or codes.dtype == "int16":
        return False
    edges.read(op, 0, codes)
    return True
