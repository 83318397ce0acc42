"""Which form a constant is stored in, by who reads it.

What ONNX Runtime 1.31 makes of each, measured at one thread on x86-64 with VNNI against float:
- DequantizeLinear of a constant in front of MatMul, or of Gemm with weights `[inner, outputs]`, becomes MatMulNBits, which
  quantizes activations to int8 in blocks of 32: at 2^18 weights and more 1.0 to 1.5 times as fast (int4 the same), below
  that down to .6 times. Where an activation function follows a product of rank 2, ONNX Runtime joins these two first,
  and DequantizeLinear runs at every call.
- DequantizeLinear in front of anything else runs at every call: a convolution .4 to .85 times as fast, an embedding .001.
- A Cast and a Mul of constants are computed when the model is loaded: speed and memory are those of float.
- Gather of codes with Cast and Mul behind it: 10 us more a call, and the table stays small in memory.
"""

from __future__ import annotations

from typing import Literal

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto

from mlpack_edge.converters.quantization.prepared.edges import Edges, attribute_of
from mlpack_edge.converters.quantization.prepared.reads import Read, Weight
from mlpack_edge.runtimes.onnx_files.tensors import elements

#: "product": read as codes by MatMul and Gemm. "rows": a large table of which Gather takes rows of codes. "loaded": made
#: whole again when the model is loaded.
Form = Literal["product", "rows", "loaded"]

#: Operator (of ONNX or of com.microsoft) -> the places of its inputs that may hold weights; None: any.
_PLACES: dict[str, tuple[int, ...] | None] = {
    "Conv": (1,), "ConvTranspose": (1,), "ConvInteger": (), "MatMul": (0, 1), "Gemm": (0, 1, 2), "Gather": (0,),
    "GatherElements": (0,), "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2), "Add": None, "Sub": None, "Mul": None,
    "Concat": None, "Expand": (0,), "Tile": (0,), "Slice": (0,), "Transpose": (0,), "Reshape": (0,), "Unsqueeze": (0,),
    "Squeeze": (0,), "Einsum": None, "FusedMatMul": (0, 1), "FusedConv": (1,), "FusedGemm": (0, 1, 2), "Attention": (1,),
    "EmbedLayerNormalization": (2, 3, 4), "DeformConv": (1,), "STFT": (), "Split": (0,),
}  # fmt: skip
#: Weights from which on a product on codes is faster than float: with activations in blocks, and with activations as a whole.
BLOCKWISE_FROM, WHOLE_FROM = 1 << 18, 1 << 12
#: Tables of embeddings from this many elements on stay codes in memory.
_LARGE_TABLE = 1 << 18
#: An input `[rows, columns]` with more columns than this is an embedding or an image: its columns are alike.
_MOST_COLUMNS = 256
#: Operators whose results are mostly of one sign, and those that only move or choose among their inputs' numbers.
_ONE_SIGN = frozenset({
    "Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Softmax", "Softplus", "Elu", "Selu",
    "Gelu", "Mish", "Exp", "Abs", "Sqrt", "Max",
})  # fmt: skip
_MOVING = frozenset({
    "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Flatten", "Reshape", "Transpose", "Squeeze",
    "Unsqueeze", "Pad", "Slice", "Concat", "Resize", "ReduceMean",
})  # fmt: skip
#: The square of the mean of such results over their variance, about: what `static.rounding.loss` calls lean. Images are
#: often of one sign as well, if they are not normalized. How far back the operators are looked at.
_LEAN, _LEAN_OF_IMAGES, _STEPS = 0.3, 0.1, 8
#: What is taken for the end of a product in codes, as it is where QuantizeLinear follows.
_CLIPPING = frozenset({"Relu", "Clip"})
#: What ONNX Runtime joins with a Gemm before it (GemmActivationFusion).
_JOINED = frozenset({
    "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "Elu", "Selu", "Softplus", "Softsign", "ThresholdedRelu",
})  # fmt: skip


def is_storable(weight: Weight, as_codes: bool) -> bool:
    """Whether every reader of a constant takes it as weights: small errors in it are small errors of the result.

    as_codes: on a grid, whose errors are small beside the largest of the numbers that share a scale; a vector of biases or
    factors would have one scale for all, so that only float16 is for it.
    """
    vector = sum(size > 1 for size in weight.tensor.dims) < 2
    return not (as_codes and vector) and all(_takes(read) for read in weight.reads)


def _takes(read: Read) -> bool:
    if read.node.domain not in ("", "ai.onnx", "com.microsoft") or read.op_type not in _PLACES:
        return False
    places = _PLACES[read.op_type]
    return places is None or read.position in places


class Forms:
    """Looks at one graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._edges = Edges(model.graph)
        self._ranks = {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in [*model.graph.value_info, *model.graph.output]
            if value.type.tensor_type.HasField("shape")
        }
        self._images = {value.name for value in model.graph.input if len(value.type.tensor_type.shape.dim) == 4}
        self._tables = {value.name for value in model.graph.input if _is_table(value)}

    def of(self, weight: Weight) -> Form:
        if self.is_product(weight, BLOCKWISE_FROM) and not any(self._is_joined(read.node) for read in weight.reads):
            return "product"
        wide = weight.tensor.data_type == TensorProto.FLOAT and len(weight.tensor.dims) == 2
        if wide and elements(weight.tensor) >= _LARGE_TABLE and all(_takes_rows(read) for read in weight.reads):
            return "rows"
        return "loaded"

    def is_product(self, weight: Weight, least: int) -> bool:
        """Whether MatMul and Gemm alone read a float32 matrix of at least so many elements, and may do so as codes.

        Products with the columns of a table may not: codes would hold columns of unlike magnitude on one grid.
        """
        tensor = weight.tensor
        return (
            len(tensor.dims) == 2
            and tensor.data_type == TensorProto.FLOAT
            and elements(tensor) >= least
            and all(self._multiplies(read) for read in weight.reads)
        )

    def _multiplies(self, read: Read) -> bool:
        """A node of the main graph that multiplies with weights which it can be given as `[inner, outputs]`."""
        node = read.node
        if read.position != 1 or node.domain not in ("", "ai.onnx") or node.name != read.layer:
            return False
        if node.input[0] in self._tables or node.input[0] == node.input[1]:
            return False
        if node.op_type == "Gemm":
            return not attribute_of(node, "transA", 0)
        return node.op_type == "MatMul"

    def _is_joined(self, node: NodeProto) -> bool:
        """Whether ONNX Runtime joins this product with what follows, and so leaves DequantizeLinear where it is."""
        follower = self._edges.sole_reader(node.output[0])
        if follower is None:
            return False
        if node.op_type == "MatMul" and self._ranks.get(node.output[0], 2) != 2:
            return follower.op_type in _CLIPPING
        if node.op_type == "MatMul" and follower.op_type == "Add":
            constant = any(name in self._edges.constants for name in follower.input)
            activation = self._edges.sole_reader(follower.output[0])
            return not constant or (activation is not None and activation.op_type in _CLIPPING | _JOINED)
        return follower.op_type in (_CLIPPING if node.op_type == "MatMul" else _CLIPPING | _JOINED)

    def scaled_axis(self, weight: Weight) -> int:
        """The axis of a constant on which it has a scale for each place: that of the outputs, or of the inputs where these
        are columns of a table, as weights are the smaller the larger their column is."""
        tables = [read for read in weight.reads if read.position == 1 and read.node.input[0] in self._tables]
        axis = channels_axis(weight)
        if tables and len(weight.tensor.dims) == 2 and tables[0].op_type in ("MatMul", "Gemm"):
            return 1 - axis
        return axis

    def lean(self, weight: Weight) -> float:
        """How much more the sum of a channel's errors weighs than their squares: see `static.rounding.loss`."""
        if self.reads_table(weight) or not all(_multiplies_second(read) for read in weight.reads):
            return 0.0
        return min(self._lean_of(read.node.input[0], _STEPS) for read in weight.reads)

    def _lean_of(self, name: str, steps: int) -> float:
        """Of a tensor, by the operators that made it; 0 where that says nothing."""
        if name in self._images:
            return _LEAN_OF_IMAGES
        maker = self._edges.givers.get(name)
        if maker is None or not steps:
            return 0.0
        if maker.op_type in _ONE_SIGN:
            return _LEAN
        inputs = [given for given in maker.input if given and given not in self._edges.constants]
        if maker.op_type in _MOVING:
            return self._lean_of(inputs[0], steps - 1) if inputs else 0.0
        if maker.op_type in ("Mul", "Add", "Div"):
            # x * Sigmoid(x) has few numbers below 0; a sum has none where no addend has one.
            choose = max if maker.op_type == "Mul" else min
            return choose((self._lean_of(given, steps - 1) for given in inputs), default=0.0)
        return 0.0

    def reads_table(self, weight: Weight) -> bool:
        return self.scaled_axis(weight) != channels_axis(weight)


def _is_table(value: ValueInfoProto) -> bool:
    dims = value.type.tensor_type.shape.dim
    return len(dims) == 2 and not dims[1].dim_value > _MOST_COLUMNS


def _multiplies_second(read: Read) -> bool:
    return read.position == 1 and read.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm")


def _takes_rows(read: Read) -> bool:
    node = read.node
    return node.op_type == "Gather" and node.name == read.layer and attribute_of(node, "axis", 0) in (0, -2)


def is_transposed(node: NodeProto) -> bool:
    """Whether a Gemm reads its weights as `[outputs, inner]`."""
    return node.op_type == "Gemm" and bool(attribute_of(node, "transB", 0))


def channels_axis(weight: Weight) -> int:
    """The axis of a constant on which the numbers are of one magnitude each, by who reads it first."""
    read, rank = weight.reads[0], len(weight.tensor.dims)
    node = read.node
    if read.op_type in ("Conv", "FusedConv", "DeformConv"):
        return 0
    if read.op_type == "ConvTranspose":
        return 1 if attribute_of(node, "group", 1) == 1 else 0
    if read.op_type in ("LSTM", "GRU", "RNN"):
        return 1
    if read.op_type == "Gemm" and read.position < 2:
        rows = bool(attribute_of(node, "transB", 0)) if read.position == 1 else not attribute_of(node, "transA", 0)
        return 0 if rows else 1
    if read.op_type == "MatMul" and read.position == 0 and rank > 1:
        return rank - 2
    return max(rank - 1, 0)
