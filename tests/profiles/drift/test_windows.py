"""Which profiles are judged together."""

from dataclasses import replace

import pytest

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.drift.windows import held_days, stretches
from mlpack_edge.profiles.profile import Profile, Window

DAY = 86_400
BLANK = Profile(bytes(16), bytes(16), b"", "", Window(0, 0, 0), 1, 1, 0, (1,), ())


def _on(day: int, days: int = 1) -> Profile:
    return replace(BLANK, window=Window(day, day * DAY, (day + days) * DAY))


def test_windows_end_with_the_newest_day_and_are_whole() -> None:
    found = stretches([_on(day) for day in range(100, 117)], (1, 7, 28))
    assert [(one.days, one.first, one.last) for one in found if one.days != 1] == [(7, 103, 109), (7, 110, 116)]
    assert [one.last for one in found if one.days == 1] == list(range(100, 117))
    assert all(len(one.profiles) == one.days for one in found)


def test_a_profile_of_a_week_is_in_no_window_of_a_day() -> None:
    found = stretches([_on(100, 7), _on(107, 7)], (1, 7))
    assert [(one.days, one.first) for one in found] == [(7, 100), (7, 107)]
    assert [(one.days, one.first, len(one.profiles)) for one in stretches([_on(100, 7), _on(107, 7)], (1,))] == [
        (14, 100, 2)
    ]


def test_a_window_at_the_border_of_a_day_belongs_to_the_day_it_counted() -> None:
    midnight = replace(BLANK, window=Window(0, 100 * DAY, 101 * DAY))
    noon = replace(BLANK, window=Window(0, 100 * DAY + 1, 100 * DAY + 2))
    assert [(one.first, len(one.profiles)) for one in stretches([midnight, noon], (1,))] == [(100, 2)]


def test_days_without_a_profile_make_no_window_and_profiles_without_a_date_are_one() -> None:
    found = stretches([_on(100), _on(103), BLANK, BLANK], (1,))
    assert [(one.days, one.first, len(one.profiles)) for one in found] == [(None, 0, 2), (1, 100, 1), (1, 103, 1)]


def test_nothing_and_a_window_of_no_days_are_refused() -> None:
    with pytest.raises(BadInput, match="no profile"):
        stretches([])
    with pytest.raises(BadInput, match="0 days"):
        stretches([_on(1)], (0,))


def test_days_are_as_many_as_their_rows_are_alike() -> None:
    """Seven even days are seven, a day among crumbs is one, and a week's profile lies in seven days."""
    assert held_days((day, day, 100.0) for day in range(7)) == pytest.approx(7)
    assert held_days([(0, 0, 10_000.0), *((day, day, 5.0) for day in range(1, 7))]) == pytest.approx(1, abs=0.01)
    assert held_days([(0, 6, 700.0)]) == pytest.approx(7)
    assert held_days([(0, 0, 60.0), (0, 0, 40.0), (3, 3, 100.0)]) == pytest.approx(2)
    assert held_days([(0, 6, 0.0)]) == 0
