"""What passes over quantized tensors share: who holds the codes of a float tensor, and operators put in between."""

from __future__ import annotations

import numpy as np

from mlpack_edge.converters.tflite_from_onnx.passes.edges import Edges
from mlpack_edge.converters.tflite_graph.model import Graph, Op, Quantization, Tensor

#: What codes may be for the kernels used here: lowest and highest code.
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


class CodedEdges(Edges):
    """Edges to which operators can be added, each in front of or behind another one."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._before: dict[Op, list[Op]] = {}
        self._after: dict[Op, list[Op]] = {}
        self.changed = False

    def put_before(self, op: Op, added: Op) -> None:
        self._before.setdefault(op, []).append(added)
        self._register(added)

    def put_after(self, op: Op, added: Op) -> None:
        self._after.setdefault(op, []).append(added)
        self._register(added)

    def _register(self, op: Op) -> None:
        for tensor in op.outputs:
            self._makers[tensor] = op
        for given in op.inputs:
            if given is not None:
                self._readers.setdefault(given, []).append(op)
        self.changed = True

    def sweep(self) -> bool:
        ops: list[Op] = []

        def write(op: Op) -> None:
            for other in self._before.get(op, ()):
                write(other)
            if op not in self._removed:
                ops.append(op)
            for other in self._after.get(op, ()):
                write(other)

        for op in self.graph.ops:
            write(op)
        changed = self.changed or bool(self._removed)
        self.graph.ops[:] = ops
        return changed

    def codes(self, tensor: Tensor | None) -> Tensor | None:
        """The codes of which a float tensor is the real numbers; None where it is none.

        Codes without a name get that of their real numbers: runtimes give a quantized tensor as those.
        """
        maker = self.maker(tensor)
        if maker is None or maker.kind != "DEQUANTIZE" or self.is_removed(maker):
            return None
        found = maker.inputs[0]
        if found is None or found.quantization is None:
            return None
        if not found.name and found not in self.borders and tensor is not None:
            found.name = tensor.name
        return found

    def quantizer(self, tensor: Tensor) -> Op | None:
        """The QUANTIZE that alone reads a float tensor, to codes with one scale; None where others read it."""
        reader = self.sole_reader(tensor)
        if reader is None or reader.kind != "QUANTIZE" or tensor.dtype != "float32":
            return None
        return reader if one_scale(reader.output) else None


def one_scale(tensor: Tensor | None) -> bool:
    """Whether a tensor holds codes with one scale for all."""
    return (
        tensor is not None
        and tensor.dtype in LIMITS
        and tensor.quantization is not None
        and tensor.quantization.scale.size == 1
    )


def same_grid(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold codes of one type with the same scales and zero points."""
    return a.dtype == b.dtype and a.quantization is not None and a.quantization.same_as(b.quantization)


def scale_of(tensor: Tensor) -> float:
    assert tensor.quantization is not None
    return float(tensor.quantization.scale[0])


def zero_of(tensor: Tensor) -> int:
    assert tensor.quantization is not None
    return int(tensor.quantization.zero_point[0])


def is_shift(op: Op | None) -> bool:
    """Whether an operator turns int8 codes into the uint8 ones of the same grid, or back: nothing is rounded."""
    if op is None or op.kind != "QUANTIZE" or not one_scale(op.inputs[0]) or not one_scale(op.output):
        return False
    before = op.inputs[0]
    assert before is not None
    steps = {("int8", "uint8"): 128, ("uint8", "int8"): -128}.get((before.dtype, op.output.dtype))
    return (
        steps is not None and scale_of(before) == scale_of(op.output) and zero_of(op.output) - zero_of(before) == steps
    )


def shifted(codes: Tensor) -> Tensor:
    """A tensor for the uint8 codes of int8 ones on the same grid, or the other way round."""
    dtype, step = ("uint8", 128) if codes.dtype == "int8" else ("int8", -128)
    assert codes.quantization is not None
    grid = Quantization(codes.quantization.scale, codes.quantization.zero_point + step, codes.quantization.axis)
    data = None if codes.data is None else (codes.data.astype(np.int16) + step).astype(dtype)
    return Tensor(codes.name if codes.data is not None else "", dtype, codes.shape, data, grid)


def content(edges: CodedEdges, tensor: Tensor | None) -> np.ndarray | None:
    """The real numbers of a constant, whether the file holds those or their codes; None for what is no constant."""
    codes = tensor if tensor is None or tensor.data is not None else edges.codes(tensor)
    if codes is None or codes.data is None:
        return None
    grid = codes.quantization
    if grid is None:
        return codes.data
    along = [-1 if grid.per_channel and axis == grid.axis else 1 for axis in range(codes.data.ndim)]
    steps = codes.data.astype(np.int64) - grid.zero_point.reshape(along if grid.per_channel else ())
    return steps * grid.scale.astype(np.float64).reshape(along if grid.per_channel else ())
