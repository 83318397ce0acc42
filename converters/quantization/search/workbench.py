"""What the search needs of the world: models are made and judged elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mlpack_edge.converters.quantization.values import Layer, Quality, Recipe
from mlpack_edge.runtimes.parity import Runner


class Workbench(Protocol):
    def layers(self, recipe: Recipe) -> Sequence[Layer]:
        """What `recipe` would quantize if it kept nothing float, in the graph's order."""
        ...

    def stored(self, recipe: Recipe) -> Sequence[Layer]:
        """The layers whose weights are stored in fewer bytes where they compute in float, in the graph's order; none without
        `Recipe.stored`."""
        ...

    def build(self, recipe: Recipe) -> bytes:
        """The whole file; the same for the same recipe."""
        ...

    def runner(self, file: bytes) -> Runner: ...


class Judging(Protocol):
    def judge(self, candidate: Runner, most_rows: int | None = None, enough: float | None = None) -> Quality:
        """Facts on all rows. most_rows: on so many of the first, about. enough: it may stop where the drop is sure to be
        above it."""
        ...
