"""Candidates that were made and judged: each recipe once, none beyond the deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlpack_edge.converters.quantization.search.workbench import Judging, Workbench
from mlpack_edge.converters.quantization.values import Quality, Recipe


class OutOfTime(Exception):
    """The deadline has come, or would while the next candidate is judged."""


@dataclass(frozen=True, slots=True)
class Trial:
    recipe: Recipe
    bytes: int
    quality: Quality


class Trials:
    """clock: seconds. longest: what a candidate took so far, at most. on_draft: is given every candidate that was judged on all rows, with its file."""

    def __init__(
        self, bench: Workbench, judge: Judging, clock: Callable[[], float], deadline: float,
        on_draft: Callable[[Recipe, bytes], None],
    ) -> None:  # fmt: skip
        self._bench, self._judge, self._on_draft = bench, judge, on_draft
        self._clock, self._deadline = clock, deadline
        self.longest = self._row_seconds = 0.0
        self._done: dict[Recipe, Trial] = {}

    @property
    def done(self) -> list[Trial]:
        """In the order in which they were made."""
        return list(self._done.values())

    def whole(self, recipe: Recipe, enough: float | None = None) -> Trial:
        """Judged on all rows, but for candidates that are sure to lose more than `enough`. The first is judged whatever the
        clock says; raises OutOfTime for any other that would pass the deadline."""
        if recipe not in self._done:
            start = self._clock()
            if self._done and start + self.longest > self._deadline:
                raise OutOfTime
            file = self._bench.build(recipe)
            quality = self._judge.judge(self._bench.runner(file), None, enough)
            self._done[recipe] = Trial(recipe, len(file), quality)
            self._on_draft(recipe, file)
            taken = self._clock() - start
            self.longest = max(self.longest, taken)
            self._row_seconds = max(self._row_seconds, taken / max(1, quality.rows))
        return self._done[recipe]

    @property
    def affordable(self) -> int:
        """Candidates that the time that is left is enough for, at most 64."""
        return int(min(64.0, self.left / self.longest)) if self.longest > 0 else 64

    @property
    def row_seconds(self) -> float:
        """What a row of a candidate took so far, at most."""
        return self._row_seconds

    def noise(self, recipe: Recipe, rows: int) -> float:
        """Of the worst output slice, on the first `rows` rows; the share of flips where no output has numbers."""
        quality = self._judge.judge(self._bench.runner(self._bench.build(recipe)), rows)
        return quality.slices[0].noise if quality.slices else quality.flips or 0.0

    @property
    def left(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self._deadline - self._clock())

    def now(self) -> float:
        return self._clock()
