"""Dates in the paths and queries of a job."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.templates import date_from_text, ds_add, render, render_job
from mlpack_edge.core.errors import BadInput

DAY = date(2028, 3, 1)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("flights/{{ ds }}/*.parquet", "flights/2028-03-01/*.parquet"),
        ("{{ ds_nodash }}", "20280301"),
        ("{{ ds_add(ds, -1) }}", "2028-02-29"),
        ("{{ date.strftime('%Y/%m') }}/{{ date.year - 1 }}", "2028/03/2027"),
        ("{% if date.weekday() == 2 %}wednesday{% else %}other{% endif %}", "wednesday"),
        ("SELECT *\nFROM t\nWHERE day = '{{ ds }}'\n", "SELECT *\nFROM t\nWHERE day = '2028-03-01'\n"),
        ("no template: { { }} {# #} *.parquet", "no template: { { }} {# #} *.parquet"),
    ],
)
def test_a_template_is_filled_in(template: str, text: str) -> None:
    assert render(template, DAY, "input") == text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ dss }}", "'dss'"),
        ("{% if ds == 'never' %}{{ next_month }}{% endif %}", "'next_month'"),
        ("{{ date.foo }}", "foo"),
        ("{{ range(3) }}", "'range'"),
        ("{{ date.today() }}", "today"),
        ("{{ ds.__class__.__mro__ }}", "__class__"),
        ("{{ [1, 2] | random }}", "random"),
        ("{{ ds_add(ds) }}", "days"),
        ("{{ ds_add('2028-02-30', 1) }}", "2028-02-30"),
        ("{{ ds_add(ds, 10 ** 8) }}", "range"),
        ("{{ ds_add(ds, 1.5) }}", "1.5"),
        ("{{ 1 / 0 }}", "zero"),
        ("{{ ds", "end of"),
        ("{% include '/etc/passwd' %}", "loader"),
    ],
)
def test_what_a_template_may_not_say_is_refused_by_key_and_name(template: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        render(template, DAY, "output")
    assert refused.value.message.startswith("output: ")
    assert said in refused.value.message + refused.value.why


def test_a_name_nearby_is_proposed() -> None:
    with pytest.raises(BadInput) as refused:
        render("{{ ds_nodahs }}", DAY, "input")
    assert "'ds_nodash' is near" in refused.value.hint


@pytest.mark.parametrize(
    "text", ["2026-02-30", "2026-2-3", "20260203", "2026-W01-1", "today", "", "0000-01-01", "٢٠٢٦-٠١-٠١"]
)
def test_a_date_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"date|calendar"):
        date_from_text(text)


@given(st.dates(date(1000, 1, 1), date(9000, 1, 1)), st.integers(-300_000, 300_000))
def test_adding_days_and_taking_them_away_is_the_same_day(day: date, days: int) -> None:
    assert ds_add(ds_add(day.isoformat(), days), -days) == day.isoformat()


@given(st.text(st.characters(exclude_characters="{")), st.dates())
def test_text_without_a_template_is_left_as_it_is(text: str, day: date) -> None:
    assert render(text, day, "sql") == text


def test_a_job_is_filled_in_where_paths_and_queries_are_and_not_in_names_of_columns() -> None:
    job = Job("m.onnx", ("a/{{ ds }}.parquet", "b/{{ ds_nodash }}.csv"), "out/{{ ds }}", keep=("{{ ds }}",))
    made = render_job(job, DAY)
    assert made.inputs == ("a/2028-03-01.parquet", "b/20280301.csv")
    assert made.output == "out/2028-03-01" and made.keep == ("{{ ds }}",)
    assert render_job(made, date(1999, 1, 1)) == made


def test_a_template_that_gives_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match=r"--output: .* gives nothing on 2028-03-01"):
        render_job(Job("m.onnx", ("a",), "{% if date.day == 2 %}x{% endif %}"), DAY, lambda name: f"--{name}")


def test_without_a_template_jinja_is_not_loaded() -> None:
    """It would cost a finished job a tenth of its second."""
    code = (
        "import sys; from datetime import date; from mlpack_edge.batch.templates import render\n"
        "render('a/b', date(2026, 1, 1), 'x'); assert 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
