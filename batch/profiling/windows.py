"""The window of a profile: which stretch of time its rows are of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.profile import Window

_DAY = 86_400


def window_of_day(day: date) -> Window:
    """The day as UTC has it, numbered from 1970-01-01: a day that is profiled again has the same number. Raises BadInput for a day
    before."""
    number = (day - date(1970, 1, 1)).days
    if number < 0:
        raise BadInput(f"a profile of {day} cannot be dated", "name the day of the rows", why="days count from 1970 on")
    return Window(number, number * _DAY, (number + 1) * _DAY)


def window_of_files(nanoseconds: Iterable[int]) -> Window:
    """The day (UTC) on which the newest file was written: what comes without a date is of the day it came. Raises ValueError
    for no file."""
    newest = max(nanoseconds)
    return window_of_day(datetime.fromtimestamp(newest // 10**9, UTC).date())
