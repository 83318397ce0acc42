"""What a source of models gives: its signature, its own answers, its ONNX graph, and where to look for differences.

A source is registered in the entry-point group `mlpack_edge.sources` under the kind that `runtimes.recognise` finds, as
a function `load(path_or_name, options) -> Source`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.data import Table
from mlpack_edge.runtimes.rows import Hints

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is opened. dtype: of numeric inputs, None to decide by the data. matrix: one input for all columns
    even where the model knows their names. stop_before: convert only the steps before the one of this name."""

    data: Table | None = None
    shapes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    dtype: str | None = None
    weights: Path | None = None
    trust_pickle: bool = False
    opset: int | None = None
    stop_before: str | None = None
    matrix: bool = False


class Source(Protocol):
    """A loaded model of some framework; `run` is the reference that its ONNX file is held against."""

    @property
    def kind(self) -> str: ...

    @property
    def signature(self) -> Signature: ...

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The framework's own answers. Raises RowsRefused where it does not take these rows."""
        ...

    def convert(self) -> BuiltModel:
        """The ONNX model. After it, `signature` names the outputs."""
        ...

    def adopt(self, signature: Signature) -> None:
        """Answer from now on under the inputs and outputs of `signature` (that of a file made from this model)."""
        ...

    def hints(self) -> Hints:
        """Where rows should be made: thresholds, categories, ranges."""
        ...

    def step_outputs(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What each step of a pipeline gives, by the path under which the ONNX graph has it; empty for others."""
        ...

    def notes(self) -> list[str]:
        """What the user should know about this conversion."""
        ...


def adopted(own: Signature, other: Signature) -> Signature:
    """`other`, the signature of a file made elsewhere; where it tells no columns, those of `own` on its inputs.

    Columns go to the inputs of their names, or in their order into the one input that is as wide as they are many.
    Where neither fits, `other` is returned as it is.
    """
    if other.columns or not own.columns:
        return other
    widths = {spec.name: spec.shape[1] for spec in other.inputs if len(spec.shape) == 2}
    if len(widths) == 1 and len(other.inputs) == 1 and list(widths.values()) == [len(own.columns)]:
        name = other.inputs[0].name
        columns = tuple(replace(column, input=name, index=index) for index, column in enumerate(own.columns))
    elif all(widths.get(column.name) == 1 for column in own.columns):
        columns = tuple(replace(column, input=column.name, index=0) for column in own.columns)
    else:
        return other
    return replace(other, columns=columns)
