"""The files that a judgement of drift is written to, one by one asked for: a page, metrics, alerts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpack_edge.cli.outcome import show_stage
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import publish, refuse_existing

if TYPE_CHECKING:
    from mlpack_edge.cli.drift_page import Counted
    from mlpack_edge.profiles.drift.facts import DriftReport
    from mlpack_edge.profiles.drift.gates import Gates
    from mlpack_edge.profiles.spec import Spec

Json = dict[str, Any]
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the options say. name: what metrics, alerts and the page call the model, "" for the command's own default; hold in hours,
    None for the default."""

    name: str
    html: Path | None
    prometheus: Path | None
    alertmanager: Path | None
    hold: float | None
    link: str
    force: bool

    def files(self) -> list[Path]:
        return [path for path in (self.html, self.alertmanager, self.prometheus) if path is not None]


def outputs(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds the options; `taken` makes one value of them. default: the name where none is given, as the help tells it."""
    options = (
        click.option("--name", default="", metavar="TEXT", help=f"What metrics, alerts and the page call the model [default: {default}]."),
        click.option("--html", type=_PATH, metavar="FILE", help="Write one self-contained page."),
        click.option("--prometheus", type=_PATH, metavar="FILE.prom", help="Write metrics for node_exporter's textfile collector; replaced each time."),
        click.option("--alertmanager", type=_PATH, metavar="FILE", help="Write JSON for Alertmanager's POST /api/v2/alerts."),
        click.option("--hold", type=click.FloatRange(0, 24 * 366), metavar="HOURS", help="How long after the last counted day an alert lasts [default: 48]."),
        click.option("--link", default="", metavar="URL", help="An address that alerts point to."),
        click.option("--force", is_flag=True, help="Overwrite --html and --alertmanager."),
    )  # fmt: skip

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return wrap


def taken(options: Json) -> Outputs:
    """Of the options that `outputs` added, which are taken out of `options`."""
    return Outputs(**{name: options.pop(name) for name in Outputs.__slots__})


def plain_name(text: str) -> str:
    """The name of a file or folder as that of a model: metrics have a line each, and alerts are UTF-8."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def refuse(wanted: Outputs, name: str, reads: Iterable[Path]) -> None:
    """Before any work is done. name: that is used; reads: files and folders that the run reads, which must not be written to.

    Raises click's UsageError, BadInput, IoFault.
    """
    for option in ("hold", "link"):
        if getattr(wanted, option) not in (None, "") and not wanted.alertmanager:
            raise click.UsageError(f"--{option} goes with --alertmanager")
    if wanted.hold is not None and math.isnan(wanted.hold):  # which click's range takes for a number within
        raise click.UsageError("--hold nan: write a number of hours")
    if wanted.link and not wanted.link.startswith(("http://", "https://")):
        raise click.UsageError(f"--link {wanted.link}: an address begins with http:// or https://")
    resolved = [path.resolve() for path in wanted.files()]
    read = {path.resolve() for path in reads}
    for path in wanted.files():
        if path.resolve() in read:
            raise click.UsageError(f"{path} is a file that this run reads: name another")
        if resolved.count(path.resolve()) > 1:
            raise click.UsageError(f"{path} is named twice")
    for output in (wanted.html, wanted.alertmanager):
        if output:
            refuse_existing(output, wanted.force)
    if not wanted.name.isprintable():
        raise BadInput("--name holds a control character", "name it with letters, digits and the like")
    if wanted.prometheus:
        from mlpack_edge.cli.drift_prometheus import refuse_foreign

        refuse_foreign(wanted.prometheus, name)


def write_outputs(
    wanted: Outputs, name: str, spec: Spec, report: DriftReport, gates: Gates, counters: Callable[[], Counted]
) -> Json:
    """The path and size of each file that was written, by option. counters: called for the page alone. Raises as `refuse`, OSError."""
    written: Json = {}
    if wanted.html:
        from mlpack_edge.cli.drift_page import render

        show_stage("drawing the page")
        written["html"] = _write(wanted.html, render(spec, report, gates, counters(), name), wanted.force)
    labels = {"name": name}
    if wanted.prometheus:
        from mlpack_edge.cli.drift_prometheus import write_metrics

        write_metrics(wanted.prometheus, labels, report, gates)
        written["prometheus"] = _file(wanted.prometheus)
    if wanted.alertmanager:
        from mlpack_edge.cli.drift_alertmanager import HOLD, alerts

        body = alerts(labels, report, gates, HOLD if wanted.hold is None else wanted.hold, wanted.link)
        text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        written["alertmanager"] = _write(wanted.alertmanager, text, wanted.force)
    return written


def _write(path: Path, text: str, force: bool) -> Json:
    with publish(path, force) as draft:
        draft.write_text(text, encoding="utf-8")
    return _file(path)


def _file(path: Path) -> Json:
    return {"path": str(path), "bytes": path.stat().st_size}
