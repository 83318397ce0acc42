"""The page as a whole: spec, report and counters go in, HTML comes out."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from mlpack_edge.cli.bench_page.labels import NAME_ROOM, shortened
from mlpack_edge.cli.bench_page.svg import TEXT
from mlpack_edge.cli.drift_findings import Finding, findings
from mlpack_edge.cli.drift_page.cards import cards, what
from mlpack_edge.cli.drift_page.charts import timeline
from mlpack_edge.cli.drift_page.counted import Counted
from mlpack_edge.cli.drift_page.run import run_of
from mlpack_edge.cli.drift_page.series import windows_of
from mlpack_edge.cli.drift_text import (
    accuracy_text,
    drifting,
    notes,
    number_text,
    onset_text,
    reference_text,
    rows_text,
    unit_text,
    window_text,
)
from mlpack_edge.cli.drift_volume import window_volume_text
from mlpack_edge.cli.outcome import printable
from mlpack_edge.profiles.drift.facts import DriftReport
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import percent, rate_text
from mlpack_edge.profiles.spec import Spec

# The timeline is drawn twice: one picture scaled to a telephone would have letters of five pixels.
WIDTHS = (("wide", 928.0), ("narrow", 328.0))
#: Drifted features whose checks stand in a table of their own.
DETAILED = 20
_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


def render(spec: Spec, report: DriftReport, gates: Gates, counted: Counted, name: str) -> str:
    """One self-contained HTML page, no scripts and no network. name: of the model. The same values give the same page.

    Cells are shown at 10 or more rows, and `counted.least` or more devices where rows come from devices (`shown`).
    """
    found = findings(report, gates)
    style = _source("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    longest, drawn = report.latest_longest, windows_of(report)
    lengths = sorted({window.days for window in report.windows if window.days is not None})
    page = (
        _templates()
        .get_template("page.html")
        .render(
            # The whole of the policy: this one style sheet, nothing else, from nowhere.
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            style=Markup(style),
            name=name,
            headline=headline(found),
            reference=reference_text(report.blocks, report.sufficient, gates),
            report=report,
            gates=gates,
            longest=longest,
            current=f"{rows_text(longest.rows)}{unit_text(longest)}{window_volume_text(longest, report.blocks)}, {window_text(longest)}",
            notes=notes(report),
            accuracy=accuracy_text(report.accuracy, drifting(found)) if report.accuracy else "",
            cards=cards(spec, report, gates, counted, found),
            detailed=DETAILED,
            lengths=lengths,
            shortest=drawn[0].days if drawn else None,
            when=Markup("").join(timeline.draw(report, gates, found, *each) for each in WIDTHS),
            unlisted=max(0, len([each for each in found if each.drifted]) - timeline.MOST),
            run=run_of(spec, counted, longest),
            what=what,
            number=number_text,
            rows_text=rows_text,
            unjudged=[each.name for each in found if not each.judged],
            percent=percent,
            rate=rate_text,
            least=counted.least,
            window_text=window_text,
        )
    )
    # Names come from foreign files: what cannot be shown is shown as such.
    return printable(page)


def headline(found: Sequence[Finding]) -> str:
    """What drifted first, and how many after it."""
    drifted = [finding for finding in found if finding.drifted]
    if not drifted:
        judged = sum(finding.judged for finding in found)
        if judged == len(found):
            return "Nothing drifted"
        return (
            f"Nothing drifted in the {judged} of {len(found)} features that could be judged"
            if judged
            else "Nothing could be judged"
        )
    first = drifted[0]
    when = f", {onset_text(first.onset)}" if first.onset else ""
    name, *rest = [shortened(finding.name, NAME_ROOM, TEXT) for finding in drifted]
    then = f"; then {' and '.join(rest)}" if 0 < len(rest) <= 2 else f"; then {len(rest)} more" if rest else ""
    return f"{name} drifted first{when}{then}" if rest else f"{name} drifted{when}"


@functools.cache
def _templates() -> Environment:
    made = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["dates"] = dates
    made.filters["sentence"] = sentence
    return made


def dates(text: str) -> Markup:
    """Days are not broken at their hyphens."""
    return Markup(_DAY.sub(r'<span class="d">\g<0></span>', str(escape(text))))


def sentence(text: str) -> Markup:
    """As `dates`, with its full stop where it does not end in a question."""
    return dates(text) if text.endswith("?") else dates(text) + "."


def _source(name: str) -> str:
    return (files("mlpack_edge.cli.drift_page") / "templates" / name).read_text(encoding="utf-8")
