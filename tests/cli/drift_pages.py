"""Pages of `mlpack drift --html` to try: by name, made when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mlpack_edge.cli.drift_page import counted, render
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import Spec
from tests.cli.drift_made import june, plain_days, plain_spec, report_of

HOSTILE = {
    "x": "<script>document.title='owned'</script>",
    "amount": "\"><img src=x onerror=\"document.title='owned'\">'",
    "kind": "\N{RIGHT-TO-LEFT OVERRIDE}dnik\N{LINE FEED}second line " + "W" * 200,
    "grade": "{{ 7 * 7 }}{% for %}&lt;&amp;" + "模型" * 80,
}


def page_of(spec: Spec, profiles: list[Profile], name: str = "late", lengths: tuple[int, ...] = (1, 7, 28)) -> str:
    report = report_of(spec, profiles, lengths)
    return render(spec, report, Gates(), counted(spec, report, profiles), name)


def _hostile() -> str:
    """Names of features and categories as no one should give them."""
    spec = plain_spec()
    named = tuple(
        replace(feature, source=replace(feature.source, name=HOSTILE.get(feature.source.name, feature.source.name)))
        for feature in spec.features
    )
    learned = {HOSTILE.get(name, name): each for name, each in spec.reference.learned.items()}
    texts = ("<b>bold</b>", '"onload="x', "\N{RIGHT-TO-LEFT OVERRIDE}abc", "D" * 300)
    wrong = tuple(
        replace(each, categories=(*texts, *each.categories[len(texts) :])) if len(getattr(each, "categories", ())) > 4 else each
        for each in named
    )  # fmt: skip
    other = replace(spec, features=wrong, reference=replace(spec.reference, learned=learned))
    report = report_of(spec, plain_days(spec, 40, june))
    renamed = replace(
        report,
        windows=tuple(
            replace(window, features=tuple(replace(each, name=HOSTILE.get(each.name, each.name)) for each in window.features))
            for window in report.windows
        ),
        slow=tuple(replace(each, name=HOSTILE.get(each.name, each.name)) for each in report.slow),
    )  # fmt: skip
    return render(other, renamed, Gates(), counted(other, report, plain_days(spec, 40, june)), "<i>late</i>")


def _timeless() -> str:
    days = [replace(each, window=Window(0, 0, 0)) for each in plain_days(plain_spec(), 2, _always, rows=400)]
    return page_of(plain_spec(), days)


def _always(table: dict[str, np.ndarray], day: int) -> None:
    june(table, 99)


MADE: dict[str, Callable[[], str]] = {
    "june": lambda: page_of(plain_spec(), plain_days(plain_spec(), 60, june)),
    "calm": lambda: page_of(plain_spec(), plain_days(plain_spec(), 28)),
    "day": lambda: page_of(plain_spec(), plain_days(plain_spec(), 1, _always)),
    "timeless": _timeless,
    "few": lambda: page_of(plain_spec(12), plain_days(plain_spec(12), 9, _always, rows=9)),
    "unjudged": lambda: page_of(plain_spec(), plain_days(plain_spec(), 2, rows=12)),
    "devices": lambda: page_of(plain_spec(40), plain_days(plain_spec(40), 3, _always, rows=30, devices=14)),
    "hostile": _hostile,
}
