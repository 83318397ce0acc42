"""What flows between the steps of a tabular pipeline: columns in blocks, each block one tensor of one dtype."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.onnx_graph import Graph, Value
from mlpack_edge.core.errors import Unsupported


@dataclass(frozen=True, slots=True)
class Block:
    """One tensor `[batch, len(names)]` and the names of its columns."""

    value: Value
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A table: `[batch, width]` in blocks. A plain matrix is a frame of one block."""

    blocks: tuple[Block, ...]

    @property
    def width(self) -> int:
        return sum(len(block.names) for block in self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for block in self.blocks for name in block.names)

    @property
    def is_text(self) -> bool:
        return any(block.value.dtype == "string" for block in self.blocks)

    @property
    def dtype(self) -> str:
        """The dtype numpy gives when the blocks are put side by side; "string" where one block is text."""
        if self.is_text:
            return "string"
        return str(np.result_type(*(np.dtype(block.value.dtype) for block in self.blocks)))

    def dense(self, graph: Graph, dtype: str | None = None) -> Value:
        """All columns as one `[batch, width]` tensor of `dtype` (default: `self.dtype`).

        Raises Unsupported where text would have to become numbers.
        """
        wanted = dtype or self.dtype
        if self.is_text and wanted != "string":
            named = [name for block in self.blocks if block.value.dtype == "string" for name in block.names]
            raise Unsupported(
                f"the column {named[0]!r} holds text where numbers are needed",
                "encode it in the pipeline (OneHotEncoder, OrdinalEncoder, TargetEncoder), or drop it",
            )
        return graph.concat([graph.cast(block.value, wanted) for block in self.blocks])

    def columns(self, graph: Graph) -> list[Value]:
        """Each column as a `[batch, 1]` value."""
        return [
            graph.gather_columns(block.value, [index]) for block in self.blocks for index in range(len(block.names))
        ]

    def select(self, graph: Graph, indices: Sequence[int]) -> Frame:
        """The columns `indices` in that order; neighbours from one block stay one block."""
        owners = [(block, index) for block in self.blocks for index in range(len(block.names))]
        runs: list[tuple[Block, list[int]]] = []
        for wanted in indices:
            block, inner = owners[wanted]
            if runs and runs[-1][0] is block:
                runs[-1][1].append(inner)
            else:
                runs.append((block, [inner]))
        return Frame(
            tuple(
                Block(graph.gather_columns(block.value, inner), tuple(block.names[i] for i in inner))
                for block, inner in runs
            )
        )

    def renamed(self, names: Sequence[str]) -> Frame:
        """The same columns under other names."""
        rest = list(names)
        blocks = []
        for block in self.blocks:
            blocks.append(Block(block.value, tuple(rest[: len(block.names)])))
            rest = rest[len(block.names) :]
        return Frame(tuple(blocks))


def frame_of(value: Value, names: Sequence[str] | None = None) -> Frame:
    """A matrix as a frame of one block; columns are named x0, x1, ... unless `names` says otherwise."""
    width = value.width or 1
    return Frame((Block(value, tuple(names) if names is not None else tuple(f"x{i}" for i in range(width))),))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a predictor gives, by role.

    label: `[batch]` class labels, cluster numbers or +1/-1 of an outlier detector, in the dtype of the classes.
    probabilities: `[batch, classes]`. scores: `decision_function`, `[batch]` or `[batch, classes]`.
    value: a regression, `[batch]` or `[batch, targets]`.
    """

    label: Value | None = None
    probabilities: Value | None = None
    scores: Value | None = None
    value: Value | None = None
