"""How far a pass over rows is, as a line that the next one replaces."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two lines, and the width of the bar.
_BETWEEN, _WIDTH = 0.2, 20


class Progress:
    """Tells `say` what is being done, and how many of `total` rows are (None: nobody counted them)."""

    def __init__(
        self, say: Callable[[str], None], doing: str, total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._doing, self._total, self._clock = say, doing, total, clock
        self._done = 0
        self._next = 0.0

    def step(self, doing: str) -> None:
        """Something else is done from now on, from the first row."""
        self._doing, self._done, self._next = doing, 0, 0.0
        self._say(doing)

    def more(self, rows: int) -> None:
        """So many more rows are done."""
        self.at(self._done + rows)

    def at(self, rows: int) -> None:
        """So many rows are done in all."""
        self._done = rows
        now = self._clock()
        if now >= self._next:
            self._next = now + _BETWEEN
            self._say(progress_line(self._doing, rows, self._total))


def progress_line(doing: str, done: int, total: int | None) -> str:
    """`calibrating [########            ]  42%  420 of 1,000 rows`."""
    if not total:
        return f"{doing}  {done:,} rows"
    done = min(done, total)
    full = _WIDTH * done // total
    return f"{doing} [{'#' * full}{' ' * (_WIDTH - full)}] {100 * done // total}%, {done:,} of {total:,} rows"
