"""The nodes that can compute with codes, each with what is computed in one go with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from mlpack_edge.converters.quantization.static.operators import ALL, CLIPPING, FIXED, WEIGHTED
from mlpack_edge.converters.quantization.static.view import Array, View, attribute, is_standard, scalar

#: Operators that read activations and constants alike, in any place.
VARIADIC = frozenset({"Add", "BatchMatMul", "MatMul", "Mul", "Sub", "Concat", "Max", "Min"})
NO_LIMITS = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Weights:
    """content: float32, as the node reads it, `alpha` of Gemm multiplied in. axis: of the outputs. groups: of a convolution.
    bias: `[outputs]` float32, None where there is none."""

    content: Array
    axis: int
    groups: int
    bias: Array | None

    @property
    def outputs(self) -> int:
        return int(self.content.shape[self.axis])

    @property
    def is_depthwise(self) -> bool:
        return self.axis == 0 and 1 < self.groups == self.outputs and self.content.shape[1] == 1


@dataclass(frozen=True, slots=True)
class Unit:
    """A node, its bias added by a node of its own (`adding`), and the activation behind (`clipping`), which a grid computes.

    reads: the activations it reads, in the order of the node's inputs (constants left out). output: what the last of its
    nodes gives. clip: what that activation limits to, (-inf, inf) where there is none.
    """

    node: onnx.NodeProto
    reads: tuple[str, ...]
    output: str
    weights: Weights | None = None
    adding: onnx.NodeProto | None = None
    clipping: onnx.NodeProto | None = None
    clip: tuple[float, float] = NO_LIMITS

    @property
    def name(self) -> str:
        return str(self.node.name)

    @property
    def kind(self) -> str:
        """The operator as recipes name it."""
        if self.weights is not None and self.weights.is_depthwise:
            return "DepthwiseConv"
        return "BatchMatMul" if self.weights is None and self.node.op_type == "MatMul" else str(self.node.op_type)


def units(view: View) -> dict[str, Unit]:
    """Node name -> unit, of all nodes that have one, in the graph's order."""
    found: dict[str, Unit] = {}
    within: set[str] = set()
    for node in view.nodes:
        if not is_standard(node) or node.op_type not in ALL or node.name in within:
            continue
        unit = _weighted(view, node) if node.op_type in WEIGHTED else None
        if node.op_type not in WEIGHTED or (node.op_type == "MatMul" and unit is None):
            unit = _plain(view, node)
        if unit is not None:
            found[unit.name] = unit
            within.update(part.name for part in (unit.adding, unit.clipping) if part is not None)
    return found


def _weighted(view: View, node: onnx.NodeProto) -> Unit | None:
    source, output = node.input[0], node.output[0]
    weights = _READING[node.op_type](view, node) if view.constant(source) is None else None
    if weights is None:
        return None
    adding = None
    if node.op_type == "MatMul":
        adding, bias = _added(view, output, weights.outputs)
        if adding is not None:
            output = adding.output[0]
            weights = Weights(weights.content, weights.axis, 1, bias)
    clipping, clip = _clipped(view, output)
    return Unit(node, (source,), clipping.output[0] if clipping else output, weights, adding, clipping, clip)


def _convolution(view: View, node: onnx.NodeProto) -> Weights | None:
    content, bias = view.constant(node.input[1]), None
    if content is None or content.ndim < 3 or content.dtype != np.float32:
        return None
    groups = int(attribute(node, "group", 1))
    axis = 1 if node.op_type == "ConvTranspose" else 0
    if len(node.input) > 2 and node.input[2]:
        bias = view.constant(node.input[2])
        if bias is None:
            return None
    return Weights(content, axis, groups, bias)


def _gemm(view: View, node: onnx.NodeProto) -> Weights | None:
    content, bias = view.constant(node.input[1]), None
    if content is None or content.ndim != 2 or content.dtype != np.float32 or attribute(node, "transA", 0):
        return None
    axis = 0 if attribute(node, "transB", 0) else 1
    if len(node.input) > 2 and node.input[2]:
        bias = view.constant(node.input[2])
        if bias is None or not _is_row(bias, content.shape[axis]):
            return None
        bias = np.broadcast_to(bias.reshape(-1), content.shape[axis]) * np.float32(attribute(node, "beta", 1.0))
    alpha = attribute(node, "alpha", 1.0)
    return Weights(content if alpha == 1 else content * np.float32(alpha), axis, 1, bias)


def _matmul(view: View, node: onnx.NodeProto) -> Weights | None:
    content = view.constant(node.input[1])
    if content is None or content.ndim != 2 or content.dtype != np.float32 or view.rank(node.input[0]) == 1:
        return None
    return Weights(content, 1, 1, None)


_READING = {"Conv": _convolution, "ConvTranspose": _convolution, "Gemm": _gemm, "MatMul": _matmul}


def _is_row(bias: Array, outputs: int) -> bool:
    """Whether a constant is added to each row alike."""
    return bias.dtype == np.float32 and (bias.size == 1 or (bias.size == outputs and bias.shape[-1] == outputs))


def _added(view: View, output: str, outputs: int) -> tuple[onnx.NodeProto | None, Array | None]:
    """The Add of a constant bias that alone reads `output`."""
    reader = view.sole_reader(output)
    if reader is None or reader.op_type != "Add" or not is_standard(reader):
        return None, None
    bias = view.constant(next(name for name in reader.input if name != output))
    if bias is None or bias.ndim > (view.rank(output) or 2) or not _is_row(bias, outputs):
        return None, None
    return reader, np.broadcast_to(bias.reshape(-1), outputs)


def _clipped(view: View, output: str) -> tuple[onnx.NodeProto | None, tuple[float, float]]:
    """The activation that alone reads `output` and only limits it, and its limits."""
    none = None, NO_LIMITS
    reader = view.sole_reader(output)
    if reader is None or not is_standard(reader) or reader.op_type not in CLIPPING or reader.input[0] != output:
        return none
    if reader.op_type == "Relu":
        return reader, (0.0, np.inf)
    limits = [-np.inf, np.inf]
    for place, name in enumerate(reader.input[1:]):
        value = scalar(view.constant(name)) if name else limits[place]
        if value is None:
            return none
        limits[place] = value
    return (reader, (limits[0], limits[1])) if limits[0] <= 0 <= limits[1] and limits[0] < limits[1] else none


def _plain(view: View, node: onnx.NodeProto) -> Unit | None:
    """An operator without weights; its constant operands get grids of their own."""
    if len(node.output) != 1 or not view.is_float(node.output[0]) or not _takes(view, node):
        return None
    operands = [name for name in node.input if name] if node.op_type in VARIADIC else list(node.input[:1])
    reads = tuple(name for name in operands if view.constant(name) is None)
    if node.op_type == "MatMul" and len(reads) < 2:
        return None
    if not reads or not all(view.is_float(name) and _has_grid(view, name) for name in operands):
        return None
    if node.op_type in CLIPPING:
        clipping, clip = _clipped(view, node.input[0])
        return Unit(node, reads, node.output[0], clip=clip) if clipping is node else None
    clipping, clip = (None, NO_LIMITS) if node.op_type in FIXED else _clipped(view, node.output[0])
    return Unit(node, reads, clipping.output[0] if clipping else node.output[0], None, None, clipping, clip)


def _has_grid(view: View, name: str) -> bool:
    """Whether a grid covers an operand: not constants of infinity (a mask) or of no number at all."""
    content = view.constant(name)
    return content is None or (content.size > 0 and bool(np.isfinite(content).all()))


def _takes(view: View, node: onnx.NodeProto) -> bool:
    """Kernels on codes that do not know all forms of their operator; of powers there is the inverse root."""
    if node.op_type == "Pow":
        return scalar(view.constant(node.input[1])) == -0.5
    if node.op_type == "AveragePool":
        return not attribute(node, "dilations", None) and not attribute(node, "ceil_mode", 0)
    return True


def reached(view: View, name: str, moves: frozenset[str]) -> Iterator[tuple[str, onnx.NodeProto | None]]:
    """(tensor, reader) of all that read a tensor, also behind nodes of `moves`; reader None for the caller."""
    if view.is_seen(name):
        yield name, None
    for reader in view.readers.get(name, ()):
        yield name, reader
        if is_move(view, reader, moves) and reader.input[0] == name:
            for output in reader.output:
                yield from reached(view, output, moves)


def is_move(view: View, node: onnx.NodeProto | None, moves: frozenset[str]) -> bool:
    """Whether a node gives elements of its first input, a float tensor."""
    if node is None or not is_standard(node) or node.op_type not in moves:
        return False
    if node.op_type in ("MaxPool", "Dropout") and len([name for name in node.output if name]) > 1:
        return False
    if node.op_type == "Resize" and (
        attribute(node, "mode", b"nearest") != b"nearest"
        or attribute(node, "coordinate_transformation_mode", b"") == b"tf_crop_and_resize"  # a value of its own outside
    ):
        return False
    return view.constant(node.input[0]) is None and view.is_float(node.output[0])
