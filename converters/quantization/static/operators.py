"""Which operators can compute with codes, and which merely move them (ONNX Runtime 1.31's QDQ selectors, LiteRT's int8
kernels)."""

from __future__ import annotations

from types import MappingProxyType

#: Operators with a constant operand of weights. DepthwiseConv: a Conv with a channel in and a channel out a group.
WEIGHTED = frozenset({"Conv", "ConvTranspose", "DepthwiseConv", "Gemm", "MatMul"})
#: Operators that ONNX Runtime has a kernel on codes for, each with its own grids before and behind.
ELEMENTWISE = frozenset({"Add", "Mul", "LeakyRelu"})
POOLS = frozenset({"AveragePool", "GlobalAveragePool"})
JOINS = frozenset({"Concat"})
#: Operators whose result has a grid that TFLite's int8 kernels fix: (lowest, highest) of 256 steps.
FIXED = MappingProxyType({
    "HardSigmoid": (0.0, 255 / 256), "Sigmoid": (0.0, 255 / 256), "Softmax": (0.0, 255 / 256), "Tanh": (-1.0, 127 / 128),
})  # fmt: skip
#: The product of two activations (a MatMul without weights), as attention has it: its Softmax takes float, so codes are
#: made for it alone, which costs what it gains.
ATTENTION = frozenset({"BatchMatMul"})
#: Operators that have int8 kernels in TFLite alone.
MICRO = frozenset({
    "Sub", "Relu", "Clip", "ReduceMean", "HardSigmoid", "HardSwish", "Elu", "Max", "Min", "Pow", "PRelu",
})  # fmt: skip

ALL = WEIGHTED | ELEMENTWISE | POOLS | JOINS | frozenset(FIXED) | ATTENTION | MICRO

#: What `Recipe.operators` means where it names none. Sigmoid is a look-up there, which nets of x * sigmoid(x) gain by.
DEFAULT = WEIGHTED | ELEMENTWISE | POOLS | JOINS | {"Sigmoid"}
#: Where no float operator is to be left.
INTEGER_ONLY = ALL

#: Operators that give elements of their first input as they are (Resize where it takes the nearest): their result has the
#: grid of that input.
MOVES = frozenset({
    "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "ReduceMax", "ReduceMin", "Reshape",
    "Resize", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
#: Activations that a grid computes by where it ends, behind an operator that writes codes.
CLIPPING = frozenset({"Relu", "Clip"})
