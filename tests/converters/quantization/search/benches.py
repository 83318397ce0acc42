"""A workbench whose models are their own recipes, and a clock that moves by what candidates cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlpack_edge.converters.quantization.values import Layer, Quality, Recipe, SliceFacts
from mlpack_edge.core.signature import Signature

#: (names of the layers that are quantized, the recipe) -> what is lost.
Losing = Callable[[frozenset[str], Recipe], float]


@dataclass
class Written:
    """What a "file" of this bench says: its recipe."""

    recipe: Recipe
    signature: Signature = field(default_factory=lambda: Signature((), ()))

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError("nobody runs it")


@dataclass
class ScriptedBench:
    """Layers of so many float bytes, a quarter of that where quantized or stored; `losing` says what a candidate loses. Both the
    workbench and the judge; `clock` moves by `seconds` a judged candidate (`few` where few rows are asked for)."""

    layer_list: Sequence[Layer]
    losing: Losing
    seconds: float = 0.0
    few: float = 0.0
    now: float = 0.0
    judged: list[Recipe] = field(default_factory=list)
    measured: list[frozenset[str]] = field(default_factory=list)
    files: list[Recipe] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def layers(self, recipe: Recipe) -> Sequence[Layer]:
        return [one for one in self.layer_list if not recipe.operators or one.op_type in recipe.operators]

    def stored(self, recipe: Recipe) -> Sequence[Layer]:
        return self.layer_list if recipe.stored else ()

    def held(self, recipe: Recipe) -> frozenset[str]:
        """The layers whose weights are codes in the file, whatever computes with them."""
        return self.quantized(recipe) | (frozenset(one.name for one in self.stored(recipe)) - recipe.float_weights)

    def quantized(self, recipe: Recipe) -> frozenset[str]:
        return frozenset(one.name for one in self.layers(recipe)) - recipe.kept_float

    def build(self, recipe: Recipe) -> bytes:
        self.files.append(recipe)
        chosen = self.held(recipe)
        size = sum(one.weight_bytes // 4 if one.name in chosen else one.weight_bytes for one in self.layer_list)
        return len(self.files).to_bytes(4, "big") + bytes(size)

    def runner(self, file: bytes) -> Written:
        return Written(self.files[int.from_bytes(file[:4], "big") - 1])

    def judge(self, candidate: Any, most_rows: int | None = None, enough: float | None = None) -> Quality:
        recipe = candidate.recipe
        self.now += self.seconds if most_rows is None else self.few
        if most_rows is None:
            self.judged.append(recipe)
        else:
            self.measured.append(self.quantized(recipe))
        drop = self.losing(self.quantized(recipe), recipe)
        return Quality("agreement", 1.0, 1.0 - drop, drop, most_rows or 1000, None, (SliceFacts("y", 0, drop, 1),))


def layers(
    count: int, size: Callable[[int], int] = lambda _: 400, kind: Callable[[int], str] = lambda _: "Conv"
) -> list[Layer]:
    return [Layer(f"layer{at}", kind(at), size(at)) for at in range(count)]


def sums(each: Mapping[str, float]) -> Losing:
    """Every layer loses for itself."""
    return lambda quantized, _: sum(each.get(name, 0.0) for name in quantized)
