"""`mlpack profile`: what is counted of a model, and counts of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlpack_edge.cli.options import Size
from mlpack_edge.cli.outcome import Outcome, answers, note
from mlpack_edge.core.files import refuse_existing

Json = dict[str, Any]
_PATH = click.Path(path_type=Path)
#: Passes over large data take long.
_A_DAY = 86_400.0

_output = click.option("-o", "--output", required=True, type=_PATH, metavar="FILE", help="Where it is written.")
_force = click.option("--force", is_flag=True, help="Overwrite the output.")
_spec = click.option(
    "--spec", type=_PATH, metavar="SPEC", help="Their spec [default: found beside them by its digest]."
)
_memory = click.option(
    "--memory", type=Size(), metavar="SIZE", help="Memory it may take [default: 80% of this machine]."
)


@click.group("profile", short_help="Count what a model sees: integers over fixed cells, and no data.")
def command() -> None:
    """A profile leaves a device or a nightly run in place of data: counts over cells that a spec fixed when the model was
    packaged. Profiles of the same spec add up exactly.

    \b
    Examples:
      mlpack profile spec late.onnx --reference flights.parquet --by date -o late.spec.json
      mlpack profile build late.spec.json november.parquet --model late.onnx --by date -o november.profile
      mlpack profile show november.profile
    """  # fmt: skip


@command.command("spec")
@click.argument("model")
@click.option(
    "--reference",
    "data",
    required=True,
    multiple=True,
    metavar="DATA",
    help="What the model was made for: a file, glob or FILE.duckdb::TABLE. Repeatable.",
)
@click.option(
    "--by", default="", metavar="COLUMN", help="The column of the time: the reference is cut into blocks by it."
)
@click.option(
    "--block",
    default="",
    metavar="BLOCK",
    help="day, hour, value, or a number of rows ('5000 rows') [default: day for times, else value; 100 blocks of rows without --by].",
)
@click.option(
    "--device", default="", metavar="COLUMN", help="The column of the device: how far devices differ is learned."
)
@click.option(
    "--label",
    default="",
    metavar="COLUMN",
    help="The column of true answers: how often a confidence is right is learned.",
)
@_output
@_force
@_memory
@answers("profile spec")
def spec_command(
    model: str, data: tuple[str, ...], output: Path, force: bool, memory: int | None, **options: str
) -> Outcome:
    """Make the spec of MODEL (ONNX or TFLite) from its reference data: cells of every input and output, and what blocks of the
    reference teach of how much they differ by themselves.

    \b
    Examples:
      mlpack profile spec late.onnx --reference flights.parquet --by date -o late.spec.json
      mlpack profile spec late.onnx --reference 'flights/*.parquet' --by time_hour --block day --device tailnum \\
        --label late -o late.spec.json
    """
    refuse_existing(output, force)
    from mlpack_edge.cli.profile_text import spec_text_of
    from mlpack_edge.profiles.spec_file import digest, spec_from_bytes, write_spec

    result = _isolated(
        "mlpack_edge.batch.profiling.reference:make_spec",
        {"model": model, "data": list(data), **options},
        memory,
        model,
    )
    made = spec_from_bytes(result["spec"].encode())
    write_spec(output, made, force)
    _say(result["notes"])
    size, blocks = output.stat().st_size, made.reference.blocks
    return Outcome(
        {
            "spec": {"path": str(output), "bytes": size, "digest": digest(made).hex()},
            "model_sha256": made.model_sha256,
            "rows": made.reference.rows,
            "features": [feature.source.name for feature in made.features],
            "reference": {
                "blocks": len(blocks.rows), "sufficient": len(blocks.rows) >= 100, "unit": blocks.unit, "first": blocks.first,
                "last": blocks.last, "devices": made.reference.devices or None,
            },
            "notes": result["notes"],
        },
        spec_text_of(str(output), size, made),
    )  # fmt: skip


@command.command("build")
@click.argument("spec", type=_PATH)
@click.argument("data", nargs=-1, required=True)
@_output
@click.option("--model", default="", metavar="MODEL", help="Run it over the rows: its outputs are counted too.")
@click.option("--by", default="", metavar="COLUMN", help="The column of the day: one report a day.")
@click.option(
    "--day",
    "--date",
    "day",
    default="",
    metavar="YYYY-MM-DD",
    help="The day that the rows are of [default: when DATA was written].",
)
@click.option("--device", default="", metavar="ID", help="The device that the rows are of; its hash is written.")
@click.option("--salt", default="", metavar="TEXT", help="The fleet's salt of that hash.")
@click.option(
    "--cohort", default="", metavar="NAME", help="A group of devices: up to 32 of a-z, 0-9, '.', '_' and '-'."
)
@click.option(
    "--epsilon",
    default="",
    metavar="E",
    help="Differential privacy of each row: noise, and one feature drawn by lot; .01 to 10, 1 is usual. docs/explanation/privacy.md",
)
@_force
@_memory
@answers("profile build")
def build_command(
    spec: Path, data: tuple[str, ...], output: Path, force: bool, memory: int | None, **options: str
) -> Outcome:
    """Count the rows of DATA by SPEC.

    \b
    Examples:
      mlpack profile build late.spec.json today.parquet --model late.onnx -o today.profile
      mlpack profile build late.spec.json 'flights/*.parquet' --by date -o flights.profile
      mlpack profile build late.spec.json today.csv --device gate-7 --salt fleet-2026 --epsilon 1 -o today.profile
    """
    refuse_existing(output, force)
    from mlpack_edge.cli.profile_request import millionths, refuse_options

    refuse_options(options)
    epsilon = millionths(options.pop("epsilon"), options)
    from mlpack_edge.cli.profile_files import decoded, write_reports
    from mlpack_edge.profiles.spec_file import digest, read_spec, spec_text

    known = read_spec(spec)
    result = _isolated(
        "mlpack_edge.batch.profiling.build:build",
        {"spec": spec_text(known), "data": list(data), "epsilon": epsilon, **options},
        memory,
        data[0],
    )
    reports = decoded(result["reports"])
    write_reports(output, reports, force)
    _say(result["notes"])
    size = output.stat().st_size
    facts = {
        "spec": digest(known)[:16].hex(),
        "rows": result["rows"],
        "predictions": result["predictions"],
        "reports": len(reports),
        "epsilon": epsilon / 1e6 if epsilon else None,
    }
    text = f"{output}  {result['rows']:,} rows in {len(reports)} report{'s' * (len(reports) != 1)}, {size:,} bytes"
    if epsilon:  # nothing of the rows is said that the report does not say
        facts |= {"rows": None, "predictions": None}
        text = f"{output}  1 report of one feature with noise (epsilon {epsilon / 1e6:g}), {size:,} bytes"
    return Outcome({"profile": {"path": str(output), "bytes": size}, **facts, "notes": result["notes"]}, text)


@command.command("merge")
@click.argument("output", type=_PATH)
@click.argument("files", nargs=-1, required=True, type=_PATH)
@_spec
@click.option("--by-window", is_flag=True, help="One report for each window, in place of one for all.")
@_force
@answers("profile merge")
def merge_command(output: Path, files: tuple[Path, ...], spec: Path | None, by_window: bool, force: bool) -> Outcome:
    """Add the profiles of FILES up into OUTPUT: all devices and windows together. Nothing is lost by it.

    \b
    Examples:
      mlpack profile merge november.profile devices/*.profile
      mlpack profile merge days.profile devices/*.profile --by-window --spec late.spec.json
    """
    refuse_existing(output, force)
    from mlpack_edge.cli.profile_files import read_profiles, write_reports
    from mlpack_edge.profiles.profile import Profile, merge
    from mlpack_edge.profiles.spec_file import digest
    from mlpack_edge.profiles.wire.report import ReportFormat

    known, profiles = read_profiles(files, spec)
    windows: dict[tuple[int, int], list[Profile]] = {}
    for profile in profiles:
        windows.setdefault((profile.window.start, profile.window.end) if by_window else (0, 0), []).append(profile)
    form = ReportFormat(known, digest(known))
    merged = [merge(windows[window]) for window in sorted(windows)]
    write_reports(output, [form.encode(profile) for profile in merged], force)
    rows = sum(profile.rows for profile in merged)
    text = f"{output}  {rows:,} rows of {len(profiles)} reports in {len(merged)}"
    facts = {"merged": len(profiles), "reports": len(merged), "rows": rows, "spec": form.digest.hex()}
    return Outcome({"profile": {"path": str(output), "bytes": output.stat().st_size}, **facts}, text)


@command.command("show")
@click.argument("file", type=_PATH)
@_spec
@answers("profile show")
def show_command(file: Path, spec: Path | None) -> Outcome:
    """Show what FILE counted; of a spec, its reference; of several reports, all of them together.

    \b
    Examples:
      mlpack profile show november.profile
      mlpack profile show november.profile --spec late.spec.json --json
    """
    from mlpack_edge.cli.profile_files import is_spec, read_profiles
    from mlpack_edge.cli.profile_text import profile_text
    from mlpack_edge.profiles.document import profile_to_json
    from mlpack_edge.profiles.profile import merge
    from mlpack_edge.profiles.spec_file import digest, read_spec
    from mlpack_edge.profiles.spec_json import reference_profile

    if is_spec(file):
        known = read_spec(file)
        profiles = [reference_profile(known, digest(known)[:16])]
    else:
        known, profiles = read_profiles([file], spec)
    document = profile_to_json(known, merge(profiles))
    if len(profiles) > 1:
        note(f"{len(profiles):,} reports, added up")
    return Outcome(document, profile_text(document))


@command.command("header")
@click.argument("spec", type=_PATH)
@_output
@click.option("--name", default="model", show_default=True, help="What every name in it begins with.")
@_force
@answers("profile header")
def header_command(spec: Path, output: Path, name: str, force: bool) -> Outcome:
    """Write SPEC as tables in C, for devices that count without Python (devices/c/mlpack_profile.c).

    \b
    Example:
      mlpack profile header late.spec.json -o late_spec.h --name late
    """
    refuse_existing(output, force)
    from mlpack_edge.core.files import publish
    from mlpack_edge.profiles.c_header import c_header
    from mlpack_edge.profiles.spec_file import digest, read_spec

    known = read_spec(spec)
    text = c_header(known, digest(known), name)
    with publish(output, force) as draft:
        draft.write_text(text, encoding="utf-8")
    size = output.stat().st_size
    facts = {"header": {"path": str(output), "bytes": size}, "spec": digest(known)[:16].hex()}
    return Outcome(facts, f"{output}  {size:,} bytes, begins {name}_spec")


def _isolated(entry: str, payload: Json, memory: int | None, subject: str) -> Json:
    """Call `entry` in a child process: model and data are files that were not made here."""
    from mlpack_edge.cli.outcome import show_stage
    from mlpack_edge.core.scratch import scratch_folder
    from mlpack_edge.runtimes.worker import Limits, run_isolated

    with scratch_folder() as folder:
        return run_isolated(
            entry, payload | {"staging": folder}, Limits(_A_DAY, memory), subject=subject, on_stage=show_stage
        )


def _say(notes: list[str]) -> None:
    for text in notes:
        note(text)
