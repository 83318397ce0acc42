"""Random formulas of elementwise operators, whatever is broadcast, open, transposed or behind a convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.converters.tflite_from_onnx.lowered import Array, assert_lowered, model_of

UNARY = [
    "Abs", "Neg", "Sin", "Atan", "Asinh", "Erf", "Ceil", "Floor", "Round", "Sign", "Relu", "LeakyRelu", "Elu", "Selu", "Gelu",
    "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "Sigmoid", "Tanh", "ThresholdedRelu", "Shrink", "Identity",
]  # fmt: skip
BINARY = ["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean", "PRelu"]
WHOLE_UNARY = ["Abs", "Neg", "Sign"]
WHOLE_BINARY = ["Add", "Sub", "Mul", "Max", "Min", "Div", "Mod"]
Shape = list[int | str]


class _Formulas:
    """A random model of nodes on inputs of one element type; later inputs span no more than the first."""

    def __init__(self, seed: int, dtype: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}
        rank = int(self.rng.integers(0, 6))
        self.full: Shape = [int(size) for size in self.rng.integers(1, 5, rank)]
        if rank and self.rng.random() < 0.5:
            self.full[0] = "batch"
        self.inputs = {"x0": self.full, **{f"x{i}": self.narrower() for i in range(1, self.rng.integers(1, 4))}}
        self.values, self.conditions = list(self.inputs), list[str]()
        if dtype == "float32" and rank == 4:
            self.behind_a_convolution()

    def narrower(self) -> Shape:
        kept = self.full[len(self.full) - int(self.rng.integers(0, len(self.full) + 1)) :]
        return [1 if isinstance(size, int) and self.rng.random() < 0.3 else size for size in kept]

    def numbers(self, shape: Sequence[int]) -> Array:
        if self.dtype == "float32":
            return np.asarray(self.rng.normal(size=shape), np.float32)
        made = self.rng.integers(-9, 9, shape)
        return np.asarray(np.where(made == 0, 1, made), self.dtype)

    def fixed(self, shape: Shape) -> list[int]:
        return [size if isinstance(size, int) else 1 for size in shape]

    def behind_a_convolution(self) -> None:
        """So that the value is there channel-last; and a transposed one, whose axes have yet to move."""
        channels = self.full[1]
        self.constants["w"] = self.numbers([int(channels), int(channels), 1, 1])
        self.nodes.append(helper.make_node("Conv", ["x0", "w"], ["conv"]))
        self.nodes.append(helper.make_node("Transpose", ["x0"], ["turned"], perm=[2, 0, 3, 1]))
        self.nodes.append(helper.make_node("Transpose", ["turned"], ["back"], perm=[1, 3, 0, 2]))
        self.values += ["conv", "conv", "back"]

    def operand(self) -> str:
        if self.rng.random() < 0.25:
            return self.constant(self.numbers(self.fixed(self.narrower())))
        return str(self.rng.choice(self.values))

    def constant(self, array: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def add(self, operator: str, inputs: list[str], kept: list[str], **attributes: Any) -> None:
        made = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [made], **attributes))
        kept.append(made)

    def step(self) -> None:
        floats = self.dtype == "float32"
        kind = self.rng.random()
        if kind < 0.3:
            self.add(str(self.rng.choice(UNARY if floats else WHOLE_UNARY)), [self.operand()], self.values)
        elif kind < 0.65:
            operator = str(self.rng.choice(BINARY if floats else WHOLE_BINARY))
            first = "x0" if operator == "PRelu" else self.operand()
            divided = operator in ("Div", "Mod")
            divisor = (
                self.constant(np.array(self.rng.choice([1, 2, 3, -2, -7]), self.dtype)) if divided else self.operand()
            )
            self.add(operator, [first, divisor], self.values)
        elif kind < 0.75 or not self.conditions:
            operator = str(self.rng.choice(["Greater", "Less", "Equal", "LessOrEqual"]))
            self.add(operator, [self.operand(), self.operand()], self.conditions)
        elif kind < 0.9:
            self.add("Where", [self.conditions[-1], self.operand(), self.operand()], self.values)
        elif kind < 0.95:
            dtype = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64}[self.dtype]
            self.add("Cast", [self.conditions[-1]], self.values, to=dtype)
        else:
            bounds = [self.constant(np.array(bound, self.dtype)) for bound in (-1, 2)]
            self.add("Clip", [self.operand(), *bounds], self.values)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
@pytest.mark.parametrize("seed", range(60))
def test_random_formulas(seed: int, dtype: str) -> None:
    """At batch 1, 2 and 7 where that is open."""
    formulas = _Formulas(seed, dtype)
    for _ in range(int(formulas.rng.integers(1, 9))):
        formulas.step()
    read = {name for node in formulas.nodes for name in node.input}
    model = model_of(
        formulas.nodes,
        {name: (dtype, shape) for name, shape in formulas.inputs.items()},
        [formulas.nodes[-1].output[0]],
        {name: array for name, array in formulas.constants.items() if name in read},
        opset=22,
    )
    batches = (1, 2, 7) if "batch" in formulas.full else (1,)
    feeds = [
        {
            name: formulas.numbers([size if isinstance(size, int) else n for size in shape])
            for name, shape in formulas.inputs.items()
        }
        for n in batches
    ]
    assert_lowered(model, *feeds, rtol=2e-4, atol=2e-5)
