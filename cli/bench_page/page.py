"""The page as a whole: the document goes in, HTML comes out."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mlpack_edge.cli.bench_page import tables, units
from mlpack_edge.cli.bench_page.charts import comparison, detail, overview, tradeoff
from mlpack_edge.cli.bench_page.environment import environments, run_facts
from mlpack_edge.cli.bench_page.models import models_of
from mlpack_edge.cli.bench_page.sentences import headline, pairs_of

Json = dict[str, Any]

# Every chart is drawn twice: one picture scaled to a telephone would have letters of five pixels.
WIDTHS = (("wide", 880.0), ("narrow", 328.0))


def render(document: Json) -> str:
    """One self-contained HTML page, no scripts and no network, from the document of `mlpack bench --json`.

    The same document gives the same page. Samples are not embedded, only what the charts draw. On emulated targets no time is
    read from the document but the calibrated range.
    """
    results = document.get("results") or []
    refused = document.get("refused") or []
    models = models_of(results)
    pairs = pairs_of(document.get("comparison") or [], models)
    head, after = headline(models, pairs, len(refused))
    style = _source("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _templates()
        .get_template("page.html")
        .render(
            # The whole of the policy: this one style sheet, nothing else, from nowhere.
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            style=Markup(style),
            headline=head,
            after=after,
            models=models,
            pairs=pairs,
            overview=_both(overview.draw, models),
            comparison=_both(comparison.draw, pairs),
            tradeoff=_both(tradeoff.draw, models),
            details={model.key: _both(detail.draw, model) for model in models},
            tables=tables,
            run=run_facts(models),
            environment=environments(models),
            beyond=detail.beyond,
            notes=tables.notes(document.get("notes") or []),
            refused=[tables.refusal(record) for record in refused],
            gate=tables.gate(document.get("gate")),
            units=units,
        )
    )


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _both(draw: Any, subject: Any) -> Markup:
    return Markup("").join(draw(subject, variant, width) for variant, width in WIDTHS)


def _source(name: str) -> str:
    return (files("mlpack_edge.cli.bench_page") / "templates" / name).read_text(encoding="utf-8")
