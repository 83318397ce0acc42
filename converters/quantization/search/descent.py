"""Layers back to float until the whole model keeps a budget, and no more of them than it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mlpack_edge.converters.quantization.search.trials import Trials
from mlpack_edge.converters.quantization.values import Layer, Recipe

#: (a recipe, layers that go back) -> the recipe with them back.
Keeping = Callable[[Recipe, Sequence[Layer]], Recipe]


@dataclass(frozen=True, slots=True)
class Descent:
    """keeping: what going back means. With all layers back the model has to keep the budget."""

    trials: Trials
    base: Recipe
    keeping: Keeping
    max_drop: float
    on_step: Callable[[str], None]

    def go(self, ordered: Sequence[Layer]) -> None:
        """ordered: as layers go back to float; where they are equal, as in the graph."""
        back = self._give_back(self._least_kept(ordered))
        if self.base.stored and back:
            self._store(back)

    def kept_bytes(self, layers: Sequence[Layer]) -> int:
        """Of the weights that the candidate within the budget keeps float that keeps fewest; all where there is none."""
        within = [one.recipe for one in self.trials.done if one.quality.drop <= self.max_drop]
        kept = [sum(layer.weight_bytes for layer in layers if layer.name in one.kept_float) for one in within]
        return min(kept, default=sum(layer.weight_bytes for layer in layers))

    def _fits(self, recipe: Recipe) -> bool:
        return self.trials.whole(recipe, self.max_drop).quality.drop <= self.max_drop

    def _least_kept(self, ordered: Sequence[Layer]) -> list[Layer]:
        """The shortest run from the head of `ordered` that the whole model can keep float and be within the budget, as far as
        doubling and halving find it."""

        def fits(count: int) -> bool:
            self.on_step(f"judging {self.base.name} with {count} of {len(ordered)} layers float")
            return self._fits(self.keeping(self.base, ordered[:count]))

        # steps as small as there is time for
        failed, good = 0, max(1, len(ordered) >> max(1, self.trials.affordable - 1))
        while good < len(ordered) and not fits(good):
            failed, good = good, min(2 * good, len(ordered))
        while good - failed > 1:
            middle = (failed + good) // 2
            failed, good = (failed, middle) if fits(middle) else (middle, good)
        return list(ordered[:good])

    def _give_back(self, kept: Sequence[Layer]) -> list[Layer]:
        """Try the layers in `kept` as codes again; those that stay."""

        def fits(rest: Sequence[Layer]) -> bool:
            self.on_step(f"judging {self.base.name} with {len(rest)} layers float")
            return self._fits(self.keeping(self.base, rest))

        return _settled(kept, fits, hopeless=True)

    def _store(self, back: Sequence[Layer]) -> None:
        """Try the weights of the layers that are float as codes in the file."""
        names = frozenset(layer.name for layer in back)
        settled = replace(self.base, kept_float=self.base.kept_float | names)

        def fits(whole: Sequence[Layer]) -> bool:
            self.on_step(f"judging {self.base.name} with {len(back)} layers float, the weights of {len(whole)} too")
            own = frozenset(layer.name for layer in whole)
            return self._fits(replace(settled, float_weights=self.base.float_weights | own))

        if self.keeping(self.base, back) != settled:
            _settled([layer for layer in back if layer.weight_bytes], fits, hopeless=False)


def _settled(layers: Sequence[Layer], fits: Callable[[Sequence[Layer]], bool], hopeless: bool) -> list[Layer]:
    """The layers that stay where the others go, most bytes first, in halves: many harmless ones cost one candidate.

    fits: whether it works with these staying. hopeless: it is known not to where none does.
    """
    remaining = {layer.name: layer for layer in layers}

    def settle(group: Sequence[Layer], hopeless: bool) -> None:
        if not hopeless:
            rest = [layer for layer in remaining.values() if layer not in group]
            if fits(rest):
                for layer in group:
                    del remaining[layer.name]
                return
        if len(group) > 1:
            middle = len(group) // 2
            settle(group[:middle], False)
            settle(group[middle:], False)

    if layers:
        settle(sorted(layers, key=lambda layer: -layer.weight_bytes), hopeless)
    return list(remaining.values())
