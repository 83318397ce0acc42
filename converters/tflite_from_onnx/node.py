"""One ONNX node while it is lowered: its inputs, attributes, what its outputs will be, and how to refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from mlpack_edge.converters.tflite_from_onnx.scope import Scope
from mlpack_edge.converters.tflite_from_onnx.values import Spec, Value
from mlpack_edge.core.errors import Unsupported

if TYPE_CHECKING:
    from mlpack_edge.converters.tflite_from_onnx.lowering import Lowering

Array = NDArray[Any]


class Node:
    """A node and the lowering it belongs to.

    version: the opset version in force for the node's domain (not the one in which the operator last changed).
    """

    def __init__(self, low: Lowering, proto: onnx.NodeProto, inputs: Sequence[Value | None], version: int) -> None:
        self.low = low
        self.proto = proto
        self.inputs = tuple(inputs)
        self.version = version
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}
        self._specs: tuple[Spec, ...] | None = None
        #: The values that a sub-graph of this node sees.
        self.scope = Scope()

    @property
    def op_type(self) -> str:
        return self.proto.op_type

    @property
    def name(self) -> str:
        """The node's name, the name of its first output where it has none."""
        return self.proto.name or next((name for name in self.proto.output if name), self.proto.op_type)

    def has(self, attribute: str) -> bool:
        return attribute in self._attributes

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute as int, float, str, list of these, numpy array (a tensor) or GraphProto."""
        if name not in self._attributes:
            return default
        value = helper.get_attribute_value(self._attributes[name])
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if isinstance(value, onnx.TensorProto):
            return numpy_helper.to_array(value)
        if isinstance(value, onnx.GraphProto):
            return value
        if hasattr(value, "__iter__") and not isinstance(value, str):
            return [item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item for item in value]
        return value

    def optional(self, place: int) -> Value | None:
        """The input at `place`, None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def input(self, place: int) -> Value:
        """The input at `place`, which has to be there."""
        value = self.optional(place)
        if value is None:
            raise self.refuse(f"its input {place} is missing")
        return value

    def constant(self, place: int, what: str) -> Array:
        """The content of the input at `place`; refused where it is known only when the model runs."""
        value = self.input(place)
        if value.array is None:
            raise self.refuse(
                f"its {what} ({value.name!r}) is known only when the model runs, and TFLite needs it fixed",
                "make it a constant of the model, or fix the sizes it is computed from with --shape",
            )
        return value.array

    def integers(self, attribute: str, place: int) -> list[int] | None:
        """Axes and the like: an attribute in older opsets, an input in newer ones. None where neither is given."""
        if self.has(attribute):
            value = self.attr(attribute)
            return [int(item) for item in value] if isinstance(value, list) else [int(value)]
        if self.optional(place) is None:
            return None
        return [int(item) for item in np.asarray(self.constant(place, attribute)).reshape(-1)]

    def axis(self, default: int, rank: int | None = None, name: str = "axis") -> int:
        """The attribute `axis` as a number from 0, of a value of `rank` (the first input's by default)."""
        rank = self.input(0).rank if rank is None else rank
        value = int(self.attr(name, default))
        if not -rank <= value < max(rank, 1):
            raise self.refuse(f"its {name} {value} lies outside its {rank} dimensions")
        return value % max(rank, 1)

    @property
    def outputs(self) -> int:
        return len(self.proto.output)

    def wants(self, place: int) -> bool:
        """Whether the output at `place` is there and has a name."""
        return place < len(self.proto.output) and bool(self.proto.output[place])

    def spec(self, place: int = 0) -> Spec:
        """Element type and shape of an output by ONNX's inference; refused where that does not know its rank."""
        if self._specs is None:
            self._specs = self.low.infer(self)
        if place >= len(self._specs):
            raise self.refuse(f"the shape of its output {place} is not known")
        return self._specs[place]

    def refuse(self, why: str, hint: str = "") -> Unsupported:
        """The error to raise where this node cannot be expressed."""
        kind = self.op_type if self.proto.domain in ("", "ai.onnx") else f"{self.proto.domain}.{self.op_type}"
        return Unsupported(
            f"operator {kind} (node {self.name!r}) cannot be lowered to TFLite",
            hint or "mlpack convert --list-supported shows what can; --to onnx keeps the model as it is",
            why=why, op=kind, node=self.name,
        )  # fmt: skip
