"""`mlpack drift`: does what a model sees still look like what it was made for?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpack_edge.cli.drift_outputs import outputs, plain_name, refuse, taken, write_outputs
from mlpack_edge.cli.outcome import Outcome, answers, note, short, show_stage
from mlpack_edge.core.errors import BadInput, CheckFailed

if TYPE_CHECKING:
    from mlpack_edge.cli.drift_page import Counted
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
@outputs("SPEC's name")
@answers("drift")
def command(spec: Path, current: tuple[Path, ...], **options: Any) -> Outcome:
    """Judge the profiles CURRENT against the reference of SPEC. Exit code 3 when something drifted.

    A feature drifts where the change is neither chance nor small: it must pass a significance test over all features, and be
    larger than a floor and than what the reference's own windows do by themselves.

    \b
    Examples:
      mlpack drift late.spec.json november.profile
      mlpack drift late.spec.json days/*.profile --since 2026-11-01 --html drift.html
      mlpack drift late.spec.json days/*.profile --prometheus /var/lib/node_exporter/textfile/late-drift.prom
    """
    wanted = taken(options)
    name = wanted.name or plain_name(spec.name.removesuffix(".json").removesuffix(".spec"))
    refuse(wanted, name, (spec, *current))
    from mlpack_edge.cli.drift_findings import restricted
    from mlpack_edge.cli.drift_request import day_of, gates_of, known_features, unanswered, within
    from mlpack_edge.cli.profile_files import read_profiles
    from mlpack_edge.profiles.drift.detect import drift
    from mlpack_edge.profiles.spec_file import digest

    gates = gates_of(options["significance"], options["floors"])
    since, until = day_of(options["since"], "--since"), day_of(options["until"], "--until")
    show_stage("reading profiles")
    known, profiles = read_profiles(current, spec)
    names = known_features(known, options["features"])
    profiles, notes = within(profiles, since, until, int(time.time()) // 86_400)
    if wanted.html and any(profile.epsilon for profile in profiles):
        raise BadInput(
            "--html draws counters, and these carry noise (differential privacy)", "leave it out, or take --json"
        )
    show_stage(f"judging {len(profiles):,} profiles")
    report = drift(known, digest(known), profiles, **({"lengths": options["windows"]} if options["windows"] else {}))
    if names:
        report = restricted(report, names)
    ended, lost = unanswered(known, profiles)
    for text in [*notes, lost] if lost else notes:
        note(text)

    def counters() -> Counted:
        from mlpack_edge.cli.drift_page import counted

        return counted(known, report, profiles)

    written = write_outputs(wanted, name, known, report, gates, counters)
    facts = {
        "spec": digest(known)[:16].hex(),
        "model_sha256": known.model_sha256,
        "name": name,
        "reports": len(profiles),
        "outcome": ended,
    }
    return drift_outcome(report, gates, facts | {"written": written})


def drift_outcome(report: DriftReport, gates: Gates, facts: Json) -> Outcome:
    """How a judgement ends. Raises, with the same text and JSON, CheckFailed where something drifted, and BadInput where
    there was nothing to judge: that is not the same as calm."""
    from mlpack_edge.cli.drift_document import drift_document
    from mlpack_edge.cli.drift_findings import findings
    from mlpack_edge.cli.drift_text import drift_text, shortened, summary

    result, text = {**facts, **drift_document(report, gates)}, drift_text(report, gates)
    text += "".join(f"\n\n{file['path']}  {file['bytes']:,} bytes" for file in facts.get("written", {}).values())
    told = findings(shortened(report), gates)
    drifted = [finding for finding in told if finding.drifted]
    if not any(finding.judged for finding in told):
        raise BadInput(
            summary(report, gates),
            "give the days before as well, or wait for more rows or devices",
            result=result,
            text=text,
        )
    if not drifted:
        return Outcome(result, text)
    raise CheckFailed(
        summary(report, gates),
        "docs/how-to/watch-for-drift.md says where to look; if it is to stay, train on it and make a new spec",
        why=f"{short(drifted[0].name)}: {drifted[0].reason}",
        result=result, text=text,
    )  # fmt: skip
