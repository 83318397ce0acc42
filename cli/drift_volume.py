"""Rows a day, now and in the reference: no drift and never an alarm, but what tells of nights that lost most of their rows."""

from __future__ import annotations

from datetime import date

from mlpack_edge.profiles.drift.facts import DriftReport, Window
from mlpack_edge.profiles.spec import Blocks


def rows_told(report: DriftReport) -> int:
    """All rows that were judged: those of the length of window that covers most, and of profiles without a date."""
    return sum(window.rows for window in _widest(report)) + sum(
        window.rows for window in report.windows if window.days is None
    )


def rows_per_day(report: DriftReport) -> float | None:
    """Over all days from the first to the last that was judged, those without rows too; None where profiles have no date."""
    widest = _widest(report)
    if not widest or any(window.days is None for window in report.windows):
        return None
    days = max(window.last for window in widest) - min(window.first for window in widest) + 1
    return sum(window.rows for window in widest) / days


def reference_rows_per_day(blocks: Blocks) -> float | None:
    """Over all days from its first to its last, those without rows too; None where the reference is not cut by days."""
    if blocks.unit != "day":
        return None
    try:
        days = (date.fromisoformat(blocks.last) - date.fromisoformat(blocks.first)).days + 1
    except ValueError:  # blocks that were labelled elsewhere
        return None
    return sum(blocks.rows) / days if days > 0 else None


def volume_text(report: DriftReport) -> str:
    """ ", 445 a day (reference 1,210 a day)"; "" where one of them is not known by day."""
    return _beside(rows_per_day(report), report.blocks)


def window_volume_text(window: Window, blocks: Blocks) -> str:
    """The same of one window."""
    return _beside(None if window.days is None else window.rows / window.days, blocks)


def _beside(now: float | None, blocks: Blocks) -> str:
    before = reference_rows_per_day(blocks)
    return "" if now is None or before is None else f", {_rate(now)} a day (reference {_rate(before)} a day)"


def _rate(rows: float) -> str:
    return f"{rows:,.0f}" if rows >= 9.95 or not rows else f"{rows:.2g}"


def _widest(report: DriftReport) -> list[Window]:
    """The windows of that length, of those with a date, whose windows hold most rows."""
    lengths: dict[int, list[Window]] = {}
    for window in report.windows:
        if window.days is not None:
            lengths.setdefault(window.days, []).append(window)
    return max(lengths.values(), key=lambda mine: sum(window.rows for window in mine), default=[])
