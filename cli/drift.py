"""`mlpack drift`: does what a model sees still look like what it was made for?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpack_edge.cli.outcome import Outcome, answers, note, show_stage
from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.files import publish, refuse_existing

if TYPE_CHECKING:
    from mlpack_edge.profiles.drift.facts import DriftReport
    from mlpack_edge.profiles.drift.gates import Gates

Json = dict[str, Any]
_PATH = click.Path(path_type=Path)


@click.command("drift", short_help="Say whether what a model sees has changed, what first and why.")
@click.argument("spec", type=_PATH)
@click.argument("current", nargs=-1, required=True, type=_PATH)
@click.option(
    "--window",
    "windows",
    type=click.IntRange(1, 3660),
    multiple=True,
    metavar="DAYS",
    help="Judge windows of so many days. Repeatable [default: 1, 7 and 28].",
)
@click.option("--since", default="", metavar="DATE", help="The first day that is judged, YYYY-MM-DD.")
@click.option("--until", default="", metavar="DATE", help="The last day that is judged, YYYY-MM-DD.")
@click.option("--feature", "features", multiple=True, metavar="NAME", help="Only this feature. Repeatable.")
@click.option(
    "--significance",
    type=click.FloatRange(0, 0.5, min_open=True),
    metavar="RATE",
    help="Share of alarms that may be false [default: 0.01].",
)
@click.option(
    "--floor",
    "floors",
    multiple=True,
    metavar="KIND=SHARE",
    help="Effects up to it never alarm; KIND is missing, unseen or distribution [default: 1%, 0.2% and 3%].",
)
@click.option("--name", default="", metavar="TEXT", help="What metrics, alerts and the page call the model [default: SPEC's name].")  # fmt: skip
@click.option("--html", type=_PATH, metavar="FILE", help="Write one self-contained page.")
@click.option("--prometheus", type=_PATH, metavar="FILE.prom", help="Write metrics for node_exporter's textfile collector; replaced each time.")  # fmt: skip
@click.option("--alertmanager", type=_PATH, metavar="FILE", help="Write JSON for Alertmanager's POST /api/v2/alerts.")
@click.option(
    "--hold",
    type=click.FloatRange(0, 24 * 366),
    metavar="HOURS",
    help="How long after the last counted day an alert lasts [default: 48].",
)
@click.option("--link", default="", metavar="URL", help="An address that alerts point to.")
@click.option("--force", is_flag=True, help="Overwrite --html and --alertmanager.")
@answers("drift")
def command(spec: Path, current: tuple[Path, ...], force: bool, **options: Any) -> Outcome:
    """Judge the profiles CURRENT against the reference of SPEC. Exit code 3 when something drifted.

    A feature drifts where the change is neither chance nor small: it must pass a significance test over all features, and be
    larger than a floor and than what the reference's own windows do by themselves.

    \b
    Examples:
      mlpack drift late.spec.json november.profile
      mlpack drift late.spec.json days/*.profile --since 2026-11-01 --html drift.html
      mlpack drift late.spec.json days/*.profile --prometheus /var/lib/node_exporter/textfile/late-drift.prom
    """
    _refuse(spec, current, force, options)
    from mlpack_edge.cli.drift_findings import restricted
    from mlpack_edge.cli.drift_request import day_of, gates_of, known_features, within
    from mlpack_edge.cli.profile_files import read_profiles
    from mlpack_edge.profiles.drift.detect import drift
    from mlpack_edge.profiles.spec_file import digest

    gates = gates_of(options["significance"], options["floors"])
    since, until = day_of(options["since"], "--since"), day_of(options["until"], "--until")
    show_stage("reading profiles")
    known, profiles = read_profiles(current, spec)
    names = known_features(known, options["features"])
    profiles, notes = within(profiles, since, until)
    if options["html"] and any(profile.epsilon for profile in profiles):
        raise BadInput(
            "--html draws counters, and these carry noise (differential privacy)", "leave it out, or take --json"
        )
    show_stage(f"judging {len(profiles):,} profiles")
    report = drift(known, digest(known), profiles, **({"lengths": options["windows"]} if options["windows"] else {}))
    if names:
        report = restricted(report, names)
    for text in notes:
        note(text)
    name = options["name"] or spec.name.removesuffix(".json").removesuffix(".spec")
    written: Json = {}
    if options["html"]:
        from mlpack_edge.cli.drift_page import counted, render

        show_stage("drawing the page")
        page = render(known, report, gates, counted(known, report, profiles), name)
        written["html"] = _write(options["html"], page, force)
    labels = {"name": name}
    if options["prometheus"]:
        from mlpack_edge.cli.drift_prometheus import write_metrics

        write_metrics(options["prometheus"], labels, report, gates)
        written["prometheus"] = _file(options["prometheus"])
    if options["alertmanager"]:
        from mlpack_edge.cli.drift_alertmanager import HOLD, alerts

        hold = HOLD if options["hold"] is None else options["hold"]
        body = alerts(labels, report, gates, hold, options["link"])
        text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        written["alertmanager"] = _write(options["alertmanager"], text, force)
    facts = {
        "spec": digest(known)[:16].hex(),
        "model_sha256": known.model_sha256,
        "name": name,
        "reports": len(profiles),
    }
    return drift_outcome(report, gates, facts | {"written": written})


def drift_outcome(report: DriftReport, gates: Gates, facts: Json) -> Outcome:
    """How a judgement ends. Raises CheckFailed, with the same text and JSON, where something drifted."""
    from mlpack_edge.cli.drift_document import drift_document
    from mlpack_edge.cli.drift_findings import findings
    from mlpack_edge.cli.drift_text import drift_text, summary

    result, text = {**facts, **drift_document(report, gates)}, drift_text(report, gates)
    text += "".join(f"\n\n{file['path']}  {file['bytes']:,} bytes" for file in facts.get("written", {}).values())
    drifted = [finding for finding in findings(report, gates) if finding.drifted]
    if not drifted:
        return Outcome(result, text)
    raise CheckFailed(
        summary(report, gates),
        "docs/how-to/watch-for-drift.md says where to look; if it is to stay, train on it and make a new spec",
        why=f"{drifted[0].name}: {drifted[0].reason}",
        result=result, text=text,
    )  # fmt: skip


def _refuse(spec: Path, current: tuple[Path, ...], force: bool, options: Json) -> None:
    """Before any work is done."""
    for option in ("hold", "link"):
        if options[option] and not options["alertmanager"]:
            raise click.UsageError(f"--{option} goes with --alertmanager")
    if options["link"] and not options["link"].startswith(("http://", "https://")):
        raise click.UsageError(f"--link {options['link']}: an address begins with http:// or https://")
    outputs = [options[name] for name in ("html", "alertmanager", "prometheus") if options[name]]
    resolved = [path.resolve() for path in outputs]
    read = {path.resolve() for path in (spec, *current)}
    for path in outputs:
        if path.resolve() in read:
            raise click.UsageError(f"{path} is a file that this run reads: name another")
        if resolved.count(path.resolve()) > 1:
            raise click.UsageError(f"{path} is named twice")
    for name in ("html", "alertmanager"):
        if options[name]:
            refuse_existing(options[name], force)
    if any(not letter.isprintable() for letter in options["name"]):
        raise BadInput("--name holds a control character", "name it with letters, digits and the like")
    if options["prometheus"]:
        from mlpack_edge.cli.drift_prometheus import refuse_foreign

        refuse_foreign(options["prometheus"], options["name"] or spec.name.removesuffix(".json").removesuffix(".spec"))


def _write(path: Path, text: str, force: bool) -> Json:
    with publish(path, force) as draft:
        draft.write_text(text, encoding="utf-8")
    return _file(path)


def _file(path: Path) -> Json:
    return {"path": str(path), "bytes": path.stat().st_size}
