"""The page of `mlpack drift --html` as text: its size, and what it must not show."""

from __future__ import annotations

import html
import re

import pytest

from mlpack_edge.cli.bench_page.labels import text_width
from mlpack_edge.cli.bench_page.svg import SMALL
from mlpack_edge.cli.drift_findings import Onset
from mlpack_edge.cli.drift_page.cards import index_text
from mlpack_edge.cli.drift_page.charts import bars as bar_chart
from mlpack_edge.cli.drift_page.charts import effect
from mlpack_edge.cli.drift_page.frame import WIDTH
from mlpack_edge.cli.drift_page.page import sentence
from mlpack_edge.cli.drift_page.series import Moment, Series, windows_of
from mlpack_edge.cli.drift_page.shown import Bar
from mlpack_edge.cli.drift_text import onset_text
from mlpack_edge.profiles.drift.facts import DISTRIBUTION
from tests.cli.drift_made import FIRST, plain_days, plain_spec, report_of, seventy_days
from tests.cli.drift_pages import MADE, page_of


def test_seventy_features_and_120_days_stay_below_400_kilobytes() -> None:
    spec, profiles = seventy_days()
    assert len(spec.features) == 70 and len(profiles) == 120
    page = page_of(spec, profiles)
    assert page.count('<svg class="chart"') > 150
    assert len(page.encode()) < 400_000
    assert "10 of 70 features." in page


@pytest.mark.long
@pytest.mark.parametrize("days", [120, 400])
def test_seventy_features_that_nearly_all_drifted_day_after_day_stay_below_400_kilobytes(days: int) -> None:
    """As many days as are drawn, and more: marks that would lie over each other are one."""
    spec, profiles = seventy_days(days, 100, True)
    report = report_of(spec, profiles)
    assert {window.days for window in windows_of(report)} == ({1} if days == 120 else {7})
    page = page_of(spec, profiles)
    assert "50 of 70 features." in page
    assert len(page.encode()) < 400_000


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page = html.unescape(MADE["june"]())
    assert "default-src 'none'" in page and "unsafe-inline" not in page and "<script" not in page
    assert not re.search(r"\b(?:src|href)\s*=(?!\"#)", page) and "url(" not in page and "@import" not in page


def test_more_days_than_can_be_drawn_are_drawn_as_weeks() -> None:
    spec = plain_spec()
    report = report_of(spec, plain_days(spec, 450, rows=10))
    drawn = windows_of(report)
    assert {window.days for window in drawn} == {7} and len(drawn) == 450 // 7


def test_few_rows_show_no_cell() -> None:
    """Nine rows a day: the days say nothing alone, and no bar stands for fewer than ten rows."""
    spec = plain_spec()
    page = page_of(spec, plain_days(spec, 1, rows=9))
    assert page.count("Too few rows or devices to show any cell.") == 5


def test_rows_of_nine_devices_show_no_cell() -> None:
    spec = plain_spec(40)
    page = page_of(spec, plain_days(spec, 1, rows=100, devices=9))
    assert page.count("Too few rows or devices to show any cell.") == 5
    assert "Confidence of the answers" not in page


def test_an_insufficient_reference_is_called_so_and_the_estimate_a_proxy() -> None:
    page = html.unescape(MADE["few"]())
    assert "insufficient reference" in page and "times 3, because the reference is insufficient" in page
    assert "This is a proxy" in html.unescape(MADE["june"]())


def test_words_of_the_page_are_as_sure_as_what_they_tell() -> None:
    """The day of a slow shift is about right; a question needs no full stop; an index has no exponent."""
    assert onset_text(Onset(FIRST, FIRST, 1, start=False, about=True)) == "since about 2026-01-01"
    assert onset_text(Onset(FIRST, FIRST, 1, start=False)) == "since 2026-01-01"
    assert sentence("another unit?") == "another unit?" and sentence("moved by .1") == "moved by .1."
    assert [index_text(value) for value in (0.00123456, 12.3456, 999.6, 163_000.4)] == [
        "0.00123",
        "12.3",
        "1,000",
        "163,000",
    ]


def test_the_longest_shares_stay_beside_their_bar() -> None:
    [chart] = re.findall(r"<svg.*</svg>", bar_chart.draw("kind", [Bar("only", 500, 400)]))
    bar = max(int(place) + int(wide) for place, wide in re.findall(r"M(\d+) [\d.]+h(\d+)v7", chart))
    assert "100 % → 100 %" in chart and bar < WIDTH - 2 - text_width("100 % → 100 %", SMALL)


def test_a_longer_window_that_alarms_below_the_limit_of_a_day_is_marked_and_has_its_own_limit() -> None:
    """Else a bar would seem to drift inside the band of what is usual."""
    days = tuple(Moment(FIRST + day, FIRST + day, 0.1, 0.0, 0.0, frozenset()) for day in range(14))
    weeks = tuple(Moment(FIRST + day, FIRST + day + 6, 0.2, 0.0, 0.0, frozenset({DISTRIBUTION})) for day in (0, 7))
    chart = effect.draw("x", Series((0.1,), 1, 0.4, days, weeks, 7, 0.15))
    assert 'class="alarm"' in chart and 'class="usual"' in chart and 'class="limit"' in chart
    assert "2 of 2 windows of 7 days alarm, of which the limit is 0.15" in chart
