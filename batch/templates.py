"""Dates in the paths and queries of a job: `flights/{{ ds }}/*.parquet`, filled in when it runs.

The language is Jinja2, in its sandbox; the names are those of Airflow where it has them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any

from mlpack_edge.batch.job import Job
from mlpack_edge.core.errors import BadInput

#: Keys of a job in which dates are filled in: the others are names of columns, numbers and choices.
TEMPLATED = ("model", "inputs", "sql", "output", "contract", "challenger", "profile", "profile_spec")
#: What a template may ask the date for.
_OF_A_DATE = ("year", "month", "day", "strftime", "isoformat", "weekday", "isoweekday", "isocalendar", "replace")


def date_from_text(text: str) -> date:
    """`2026-02-28`. BadInput for another form, and for a date that the calendar does not have."""
    hint = "write it as 2026-02-28"
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, flags=re.ASCII):
        raise BadInput(f"{text!r} is no date", hint)
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise BadInput(f"there is no {text} in the calendar", hint, why=str(fault)) from fault


def render(text: str, day: date, key: str) -> str:
    """`text` with its templates filled in for `day`; text without `{{` or `{%` stays as it is.

    key: where the text stands, for messages. BadInput naming the key, and the name where one is not known.
    """
    if "{{" not in text and "{%" not in text:
        return text
    import jinja2
    from jinja2.meta import find_undeclared_variables
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """Also without `date.today()`: what a job reads follows from the date it is run for, not from the clock."""

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            return super().is_safe_attribute(obj, attr, value) and (not isinstance(obj, date) or attr in _OF_A_DATE)

    environment = Sandbox(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    environment.globals.clear()
    del environment.filters["random"]
    names = names_of(day)
    try:
        # Also those in a branch that is not taken today: a job that fails next month fails now.
        unknown = sorted(find_undeclared_variables(environment.parse(text)) - set(names))
        if unknown:
            raise BadInput(f"{key}: the template {text!r} names {unknown[0]!r}, which is not known", _known(unknown[0]))
        return environment.from_string(text).render(names)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as fault:
        raise BadInput(
            f"{key}: the template {text!r} cannot be filled in", f"known names are {', '.join(names)}", why=str(fault)
        ) from fault


def names_of(day: date) -> dict[str, Any]:
    """What a template may name."""
    return {
        "ds": day.isoformat(),
        "ds_nodash": day.isoformat().replace("-", ""),
        "ds_add": ds_add,
        "date": day,
    }


def ds_add(ds: str, days: int) -> str:
    """The ISO date so many days later, earlier where negative: `ds_add("2026-03-01", -1)` is `2026-02-28`."""
    if type(days) is not int:
        raise TypeError(f"ds_add takes a whole number of days, not {days!r}")
    try:
        return (date_from_text(ds) + timedelta(days=days)).isoformat()
    except BadInput as fault:
        raise ValueError(fault.message) from fault


def is_dated(job: Job) -> bool:
    """Whether a template in it is filled in with the date."""
    values = [getattr(job, name) for name in TEMPLATED]
    texts = [text for value in values for text in (value if isinstance(value, tuple) else (value,))]
    return any("{{" in text or "{%" in text for text in texts)


def render_job(job: Job, day: date, place: Callable[[str], str] = str) -> Job:
    """The job of one day. place: what a key is called in messages (`input`, `--input`)."""

    def filled(name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(filled(name, item) for item in value)
        made = render(value, day, place(name))
        if value.strip() and not made.strip():
            raise BadInput(f"{place(name)}: the template {value!r} gives nothing on {day}", "give it an else")
        return made

    texts: Mapping[str, Any] = {
        field.name: getattr(job, field.name) for field in fields(job) if field.name in TEMPLATED
    }
    return replace(job, **{name: filled(name, value) for name, value in texts.items()})


def _known(name: str) -> str:
    near = difflib.get_close_matches(name, names_of(date.min), n=1)
    meant = f"{near[0]!r} is near; " if near else ""
    return f"{meant}known names are {', '.join(names_of(date.min))}"
