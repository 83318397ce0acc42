"""`mlpack fleet`: take in what devices and nightly runs report, and watch it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpack_edge.cli.drift_outputs import outputs, plain_name, refuse, taken, write_outputs
from mlpack_edge.cli.options import Duration
from mlpack_edge.cli.outcome import Outcome, answers, note, show_stage
from mlpack_edge.core.errors import BadInput, CheckFailed

if TYPE_CHECKING:
    from mlpack_edge.cli.drift_outputs import Outputs
    from mlpack_edge.cli.drift_page import Counted
    from mlpack_edge.fleet.store import KnownSpec, Store

Json = dict[str, Any]
_PATH = click.Path(path_type=Path)

_store = click.option("--store", "root", required=True, type=_PATH, metavar="DIR", help="The store.")
_least = click.option(
    "--least-devices",
    type=click.IntRange(1),
    default=10,
    metavar="N",
    help="Show no figure of fewer devices [default: 10]; of fewer than 10 rows none is shown.",
)


@click.group("fleet", short_help="Take in what devices report, and watch it by model and cohort.")
def command() -> None:
    """Reports that were uploaded as files become a table that DuckDB and Polars read; drift is judged between devices, never
    between rows.

    \b
    Examples:
      mlpack fleet ingest uploads/ --store fleet --spec late.spec.json
      mlpack fleet drift --store fleet --cohort canary --window 7
      mlpack fleet status --store fleet
    """


@command.command("ingest")
@click.argument("given", nargs=-1, required=True, type=_PATH, metavar="DIR|FILES...")
@_store
@click.option("--spec", "specs", multiple=True, type=_PATH, metavar="SPEC", help="A spec of the reports; the store keeps it. Repeatable.")  # fmt: skip
@click.option("--late-after", type=click.IntRange(0, 3660), default=2, metavar="DAYS", help="Reports of an older day are corrections [default: 2].")  # fmt: skip
@click.option("--not-before", default="", metavar="DATE", help="Device clocks that say less are wrong [default: the end of the spec's reference].")  # fmt: skip
@click.option("--settled", type=Duration(), default="60", metavar="TIME", help="A file that changed within it may still be written to [default: 60s].")  # fmt: skip
@click.option("--remove", is_flag=True, help="Remove files once what they held is safely stored.")
@answers("fleet ingest")
def ingest_command(
    given: tuple[Path, ...], root: Path, specs: tuple[Path, ...], late_after: int, not_before: str, settled: float, remove: bool
) -> Outcome:  # fmt: skip
    """Take the reports in files, and below directories, into the store: each once, however often it is delivered. Damaged and unknown
    ones go to its quarantine with the reason. Run it again after a crash: nothing is lost or counted twice. Exit code 3 where no
    report was sound, or reports are new in the quarantine that conflict with stored ones.

    \b
    Examples:
      mlpack fleet ingest uploads/ --store fleet --spec late.spec.json
      mlpack fleet ingest uploads/ --store fleet --remove
      mlpack fleet ingest nightly/november.profile --store fleet --spec late.spec.json
    """
    import time

    from mlpack_edge.cli.drift_request import day_of
    from mlpack_edge.cli.fleet_text import refusal_of, taken_text
    from mlpack_edge.fleet.intake import Intake, Policy, Taken
    from mlpack_edge.fleet.store import writing
    from mlpack_edge.profiles.spec_file import read_spec

    first = day_of(not_before, "--not-before")
    policy = Policy(late_after, settled, None if first is None else first * 86_400, remove)

    def said(taken: Taken) -> None:
        show_stage(f"{taken.files:,} files, {taken.reports:,} new reports")

    known = tuple(read_spec(path) for path in specs)
    with writing(root, known) as store:
        taken = Intake(store, policy, time.time()).run(given, said)
    if taken.waiting:
        note(f"{taken.waiting:,} unreadable pieces of files that changed within {settled:g} s wait for the next run")
    for text in taken.unreadable[:5]:
        note(text)
    if len(taken.unreadable) > 5:
        note(f"{len(taken.unreadable) - 5:,} more files could not be read")
    facts = {
        "store": str(root),
        "files": taken.files,
        "bytes": taken.bytes,
        "reports": taken.reports,
        "rows": taken.rows,
        "corrections": taken.late,
        "strays": taken.strays,
        "repeated": taken.repeated,
        "rejected": taken.rejected,
        "quarantined": taken.quarantined,
        "waiting": taken.waiting,
        "unreadable": len(taken.unreadable),
        "removed": taken.removed,
        "parts": [str(path) for path in taken.parts],
    }
    text, stands = taken_text(root, taken), f"{taken.reports:,} reports are stored"
    if refusal := refusal_of(root, taken):
        raise CheckFailed(*refusal, why=stands, result=facts, text=text)
    return Outcome(facts, text, stands)


@command.command("drift")
@_store
@click.option("--spec", type=_PATH, metavar="SPEC", help="The spec [default: the one of the store].")
@click.option("--model-version", default="", metavar="DIGEST", help="The model, by the beginning of its SHA-256.")
@click.option("--cohort", metavar="NAME", help="Only reports of this cohort.")
@click.option("--epsilon", type=float, metavar="E", help="Judge the reports with this noise (differential privacy) [default: those without any; where there are none, the others].")  # fmt: skip
@click.option("--window", "windows", type=click.IntRange(1, 3660), multiple=True, metavar="DAYS", help="Judge windows of so many days. Repeatable [default: 1, 7 and 28].")  # fmt: skip
@click.option("--since", default="", metavar="DATE", help="The first day that is judged, YYYY-MM-DD.")
@click.option("--until", default="", metavar="DATE", help="The last day that is judged, YYYY-MM-DD.")
@click.option("--significance", type=click.FloatRange(0, 0.5, min_open=True), metavar="RATE", help="Share of alarms that may be false [default: 0.01].")  # fmt: skip
@click.option("--floor", "floors", multiple=True, metavar="KIND=SHARE", help="Effects up to it never alarm; KIND is missing, unseen or distribution [default: 1%, 0.2% and 3%].")  # fmt: skip
@_least
@outputs("STORE's, with the cohort and the model that were asked for")
@answers("fleet drift")
def drift_command(
    root: Path, spec: Path | None, model_version: str, cohort: str | None, epsilon: float | None, windows: tuple[int, ...], since: str,
    until: str,
    significance: float | None, floors: tuple[str, ...], least_devices: int, **options: Any,
) -> Outcome:  # fmt: skip
    """Judge what the store holds against the reference of its spec. Exit code 3 when something drifted.

    Devices are what is independent, not their rows: with eight or more of them, chance is measured between devices, or
    between 32 shards of them. A nightly batch names no device: there days are what is compared. Reports with noise are
    judged apart from those without.

    \b
    Examples:
      mlpack fleet drift --store fleet
      mlpack fleet drift --store fleet --spec late.spec.json --cohort canary --since 2026-11-01 --window 7
      mlpack fleet drift --store fleet --html drift.html --prometheus /var/lib/node_exporter/textfile/fleet-drift.prom
    """
    from mlpack_edge.cli.drift import drift_outcome
    from mlpack_edge.cli.drift_request import day_of, gates_of
    from mlpack_edge.cli.fleet_noise import left_out_text, noise_of, saying
    from mlpack_edge.cli.fleet_text import cohorts_text
    from mlpack_edge.fleet.cohorts import cohorts
    from mlpack_edge.fleet.noise import noisy, noisy_days
    from mlpack_edge.fleet.reading import Selection, across, days
    from mlpack_edge.fleet.shown import Least
    from mlpack_edge.fleet.store import open_store
    from mlpack_edge.fleet.watch import latest_cells, watch, watch_noisy
    from mlpack_edge.profiles.drift.windows import LENGTHS

    gates = gates_of(significance, floors)
    first, last = day_of(since, "--since"), day_of(until, "--until")
    store = open_store(root)
    known = _chosen(store, spec, model_version)
    wanted = taken(options)
    name = wanted.name or _name(root, cohort, known if spec or model_version else None)
    _refuse_inside(root, wanted)
    refuse(wanted, name, [spec] if spec else [])
    show_stage("adding up reports by day and shard")
    selection = Selection(cohort, first, last)
    noise = noisy(store, known, selection)
    found = [] if epsilon else list(days(store, known, selection))
    millionths = noise_of(epsilon, bool(found), noise)
    if partly := across(store, known, selection):
        note(f"{partly:,} reports left out that begin before or end after the days asked for")
    least = Least(devices=least_devices)
    if millionths:
        if wanted.html:
            raise BadInput(
                "--html draws counters, and these carry noise (differential privacy)", "leave it out, or take --json"
            )
        told = list(noisy_days(store, known, selection, millionths))
        report = watch_noisy(known, told, millionths, windows or LENGTHS, least)
        reports, strays = sum(day.reports for day in told), sum(day.strays for day in told)
    else:
        report = watch(known, found, windows or LENGTHS, least)
        reports, strays = sum(day.reports for day in found), sum(day.strays for day in found)
    if cohort is None and (together := cohorts_text(cohorts(store, known, selection, millionths, least))):
        note(together)
    left_out = noise.total - noise.reports.get(millionths, 0)
    if left_out:
        report = saying(report, left_out_text(left_out, noise, millionths))
    if strays:
        note(f"{strays:,} reports with a clock that cannot be right count on the day on which they were received")

    def counters() -> Counted:
        from mlpack_edge.cli.drift_page import Counted

        cells = latest_cells(report, found)
        devices = {length: each for length, (_, each) in cells.items() if each is not None}
        return Counted({length: each for length, (each, _) in cells.items()}, devices, least_devices)

    written = write_outputs(wanted, name, known.spec, report, gates, counters)
    facts = {
        "store": str(root),
        "name": name,
        "spec": known.digest.hex(),
        "model_sha256": known.spec.model_sha256,
        "cohort": cohort,
        "reports": reports,
        "epsilon": millionths / 1e6 if millionths else None,
        "strays": strays,
        "noisy": left_out,
        "written": written,
    }
    return drift_outcome(report, gates, facts)


@command.command("status")
@_store
@click.option("--since", default="", metavar="DATE", help="Count reports from this day on, YYYY-MM-DD.")
@_least
@answers("fleet status")
def status_command(root: Path, since: str, least_devices: int) -> Outcome:
    """Show what the store holds by spec, cohort and day, and what its quarantine holds.

    \b
    Example:
      mlpack fleet status --store fleet --since 2026-11-01
    """
    from mlpack_edge.cli.drift_request import day_of
    from mlpack_edge.cli.fleet_text import status_json, status_text
    from mlpack_edge.fleet.shown import Least
    from mlpack_edge.fleet.status import status
    from mlpack_edge.fleet.store import open_store

    first = day_of(since, "--since")
    found = status(open_store(root), first, Least(devices=least_devices))
    return Outcome({"store": str(root), **status_json(found)}, status_text(found))


def _name(root: Path, cohort: str | None, known: KnownSpec | None) -> str:
    """Two cohorts, or two models, are not called the same: their metrics would replace each other."""
    model = known.spec.model_sha256[:12] if known else ""
    name = " ".join(part for part in (root.resolve().name, cohort, model) if part)
    return plain_name(name)


def _refuse_inside(root: Path, wanted: Outputs) -> None:
    for path in wanted.files():
        if root.resolve() in path.resolve().parents:
            raise click.UsageError(f"{path} lies in the store: name a file elsewhere")


def _chosen(store: Store, spec: Path | None, model_version: str) -> KnownSpec:
    """The one spec of the store that is meant. Raises BadInput for none and for several."""
    from mlpack_edge.profiles.spec_file import digest, read_spec

    fitting = [known for known in store.specs if known.spec.model_sha256.startswith(model_version.lower())]
    asked = f" of a model {model_version}" if model_version else ""
    if spec is not None:
        name = digest(read_spec(spec))[:16]
        fitting = [known for known in fitting if known.digest == name]
        asked = f" of {spec}{asked}"
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(f"{known.digest.hex()[:12]} (model {known.spec.model_sha256[:12]})" for known in store.specs)
    if not fitting:
        raise BadInput(f"the store holds no reports{asked}", f"it holds those of the specs {there}")
    raise BadInput(
        f"the store holds reports of {len(fitting)} specs{asked}", "name one with --spec or --model-version", why=there
    )
