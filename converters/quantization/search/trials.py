"""Candidates that were made and judged: each recipe once, none beyond the deadline."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from mlpack_edge.converters.quantization.search.workbench import Judging, Workbench
from mlpack_edge.converters.quantization.values import Quality, Recipe
from mlpack_edge.core.errors import CheckFailed, Unsupported
from mlpack_edge.runtimes.parity import Runner


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
        self._impossible: dict[Recipe, Trial] = {}

    @property
    def done(self) -> list[Trial]:
        """In the order in which they were made."""
        return list(self._done.values())

    def whole(self, recipe: Recipe, enough: float | None = None) -> Trial:
        """Judged on all rows, but for candidates that are sure to lose more than `enough`. The first is judged whatever the
        clock says; raises OutOfTime for any other that would pass the deadline.

        What cannot be made with these layers float (int8 borders on float operators) loses everything and is not among
        `done`; where the first cannot be made, none can: raises Unsupported or CheckFailed.
        """
        if recipe in self._impossible:
            return self._impossible[recipe]
        if recipe not in self._done:
            start = self._clock()
            if self._done and start + self.longest > self._deadline:
                raise OutOfTime
            try:
                file, runner = self._made(recipe)
            except (Unsupported, CheckFailed):
                if not self._done:
                    raise
                first = next(iter(self._done.values())).quality
                lost = replace(first, after=math.nan, drop=math.inf, flips=None, slices=())
                self._impossible[recipe] = Trial(recipe, 0, lost)
                return self._impossible[recipe]
            quality = self._judge.judge(runner, None, enough)
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
        """Of the worst output slice, on the first `rows` rows; the share of flips where no output has numbers; NaN where that
        cannot be made."""
        try:
            _, runner = self._made(recipe)
        except (Unsupported, CheckFailed):
            return math.nan
        quality = self._judge.judge(runner, rows)
        return quality.slices[0].noise if quality.slices else quality.flips or 0.0

    def _made(self, recipe: Recipe) -> tuple[bytes, Runner]:
        file = self._bench.build(recipe)
        return file, self._bench.runner(file)

    @property
    def left(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self._deadline - self._clock())

    def now(self) -> float:
        return self._clock()
