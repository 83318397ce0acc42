"""What people read of a batch: while it runs, and when it ended."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from mlpack_edge.cli.outcome import table

Json = dict[str, Any]

#: Seconds between two pictures of the progress bar.
_BETWEEN = 0.2
#: Reasons of rejection that are shown; the JSON document has all of them.
_REASONS = 5


class Progress:
    """One line on a terminal: share, rows, rows per second, time left. clock: monotonic seconds."""

    def __init__(self, shown: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._clock = clock
        self._total = 0
        self._done = 0
        self._began = clock()
        self._next = 0.0

    def begin(self, rows: int) -> None:
        """So many rows are to be scored."""
        self._total, self._done, self._began, self._next = rows, 0, self._clock(), 0.0

    def advance(self, rows: int) -> None:
        self._done += rows
        now = self._clock()
        if self._shown and self._total and now >= self._next:
            self._next = now + _BETWEEN
            line = progress_line(self._done, self._total, now - self._began)
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)


def shows_progress() -> bool:
    return sys.stderr.isatty()


def progress_line(done: int, total: int, seconds: float) -> str:
    """`scoring  42%  4,200,000 of 10,000,000 rows  3,450,000 rows/s  3 s left`."""
    done = min(done, total)
    rate = done / seconds if seconds > 0 else 0.0
    parts = [f"scoring {100 * done // total:3d}%", f"{done:,} of {total:,} rows"]
    if rate >= 1:
        parts += [f"{rate:,.0f} rows/s", f"{duration_text(math.ceil((total - done) / rate))} left"]
    return "  ".join(parts)


def duration_text(seconds: float) -> str:
    """`0.42 s`, `12 s`, `3 min 5 s`, `2 h 4 min`."""
    if 0 < seconds < 0.001:
        return "under 1 ms"
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 9.95 else "10 s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def result_text(result: Json, more: str = "") -> str:
    """A run that ended well. more: of the challenger, after it."""
    output = result["output"]
    if result["status"] == "nothing to do":
        opening = f"{output}  nothing to do: it holds the scores of these inputs already, {_rows(result['table_rows'])}"
        return f"{opening}\nrun  {result['run_key'][:16]}"
    scored = result["rows_in"] - result["rows_rejected"]
    lines = [f"{output}  {_rows(scored)} scored" + _of_table(result, scored) + _rejected_of(result)]
    lines += [f"  {text}" for text in _reasons(result["rejected"])]
    lines.append(table(_facts(result)))
    return "\n".join([*lines, *([more] if more else [])])


def _facts(result: Json) -> list[tuple[str, str]]:
    shards = result["shards"]
    rate = result["rows_per_second"]
    speed = f"{duration_text(result['seconds'])}" + (f", {rate:,} rows/s" if rate else "")
    taken = f", {shards['reused']} taken over from a run that was stopped" if shards["reused"] else ""
    facts = []
    if result.get("rejected_file"):
        facts.append(("rejected", _from_here(result["rejected_file"])))
    if result.get("profile"):
        facts.append(("profile", f"{_from_here(result['profile']['path'])}, {_rows(result['profile']['rows'])}"))
    facts += [("time", speed), ("shards", f"{shards['done']} scored{taken}")]
    facts += [("changed", text) for text in result["changed"]]
    return [*facts, ("run", result["run_key"][:16])]


def _reasons(rejected: dict[str, int]) -> list[str]:
    """The most frequent ones."""
    ordered = list(rejected.items())
    said = [f"{_rows(count)}: {reason}" for reason, count in ordered[:_REASONS]]
    rest = ordered[_REASONS:]
    return [*said, *([f"{_rows(sum(count for _, count in rest))}: {len(rest)} other reasons"] if rest else [])]


def _from_here(path: str) -> str:
    """The shorter way to say where a file is."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def _rejected_of(result: Json) -> str:
    rejected = result["rows_rejected"]
    return f", {rejected:,} of {result['rows_in']:,} rejected" if rejected else ""


def _of_table(result: Json, scored: int) -> str:
    """Where the table holds rows of earlier runs too."""
    return f", the table holds {result['table_rows']:,}" if result["table_rows"] != scored else ""


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
