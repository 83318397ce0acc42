"""The options of `mlpack score`, and which of them go together."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click

from mlpack_edge.cli.options import Size
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.quantities import share_from_text

Function = TypeVar("Function", bound=Callable[..., Any])


class Share(click.ParamType[float]):
    """A share as people write it: `0.1%`."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return share_from_text(value)
        except BadInput as fault:
            self.fail(f"{fault.message}; {fault.hint}", param, ctx)


class Day(click.ParamType[date]):
    """A date of the calendar: `2026-02-28`."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        from mlpack_edge.batch.templates import date_from_text

        if isinstance(value, date):
            return value
        try:
            return date_from_text(value)
        except BadInput as fault:
            self.fail(f"{fault.message}; {fault.hint}", param, ctx)


class Columns(click.ParamType[tuple[str, ...]]):
    """Names of columns, separated by commas; one that holds a comma or a quote is quoted as in CSV."""

    name = "columns"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        try:
            (names,) = csv.reader([value], strict=True)
        except (csv.Error, ValueError) as fault:
            self.fail(f"{value!r} is no list of columns ({fault}); write for example origin,dest", param, ctx)
        if not all(name.strip() for name in names):
            self.fail(f"{value!r} names an empty column", param, ctx)
        if len(set(names)) < len(names):
            self.fail(f"{value!r} names a column twice", param, ctx)
        return tuple(names)


class Count(click.ParamType[int]):
    """A whole number from 1 up."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not str(value).isascii() or not str(value).isdigit() or not 1 <= int(value) < 2**31:
            self.fail(f"{value!r} is not a whole number from 1 up", param, ctx)
        return int(value)


_TEXT, _COUNT = click.STRING, Count()

#: Parameter -> (how it is written, its type, metavar, help), in the order of the help.
_OPTIONS: dict[str, tuple[str, Any, str, str]] = {
    "inputs": ("--input", _TEXT, "INPUT", "A file or glob (Parquet, CSV, JSON lines, Arrow), FILE.duckdb::TABLE, or a URL. Repeatable."),
    "sql": ("--sql", _TEXT, "QUERY", "Score the rows of a DuckDB query; --input may name its database."),
    "output": ("--output", _TEXT, "OUTPUT", "The table: a directory of Parquet files, FILE.duckdb::TABLE or delta::DIR."),
    "keep": ("--keep", Columns(), "COL,...", "Columns of the input that the table keeps; '*' is all of them."),
    "key": ("--key", _TEXT, "COL", "The column that names a row [default: source_file and source_row]."),
    "partition_by": ("--partition-by", _TEXT, "COL", "A directory COL=value for each value."),
    "contract": ("--contract", _TEXT, "FILE", "What the input must be: rules for rows and for the table (TOML)."),
    "max_rejected": ("--max-rejected", Share(), "0.1%", "The share of rows that may be rejected [default: the contract's, else none]."),
    "engine": ("--engine", _TEXT, "NAME", "What runs the shards [default: local]."),
    "workers": ("--workers", _COUNT, "N", "Processes that score [default: one a core, as memory allows]."),
    "batch_rows": ("--batch-rows", _COUNT, "N", "Rows that are read at once [default: 65536]. It changes no score."),
    "memory": ("--memory", Size(), "SIZE", "Memory of all processes together [default: 80% of this machine]."),
    "incremental": ("--incremental", bool, "", "Score only what is new: inputs that are new or changed, new rows of text files, tables and queries that grew."),
    "fresh": ("--fresh", bool, "", "Score all again, also what a run that was stopped has done."),
    "resume": ("--resume", bool, "", "Go on where a run was stopped. This is the default."),
    "challenger": ("--challenger", _TEXT, "MODEL", "A second model for the same rows: its scores too, and how far the two agree."),
    "label": ("--label", _TEXT, "COL", "The column of true answers, where they are there: quality is told too."),
    "profile": ("--profile", _TEXT, "FILE", "Count the rows by --profile-spec in the same pass, and write the profile."),
    "profile_spec": ("--profile-spec", _TEXT, "SPEC", "What mlpack profile spec made of the model."),
    "day": ("--date", Day(), "YYYY-MM-DD", "The date that {{ ds }} in paths and queries stands for [default: today]."),
    "log": ("--log", _TEXT, "FILE", "Append a JSON line for each shard and event; - is standard error."),
    "metrics": ("--metrics", _TEXT, "FILE.prom", "Write metrics for the textfile collector of Prometheus' node_exporter."),
    "print_job": ("--print-job", bool, "", "Print the job file of these options instead of running them."),
    "draft_contract": ("--draft-contract", bool, "", "Write a contract from the model and the rows of --input."),
    "evaluate": ("--evaluate", _TEXT, "SCORES", "Compare a table that was written earlier with labels that have arrived since."),
    "labels": ("--labels", _TEXT, "LABELS", "Where the labels are: files or a table [default: in SCORES]."),
    "on": ("--on", Columns(), "COL,...", "The columns that name a row in SCORES and in LABELS [default: the key of SCORES]."),
    "by": ("--by", _TEXT, "COL", "Figures for each day of this column, or each of its values."),
    "segments": ("--segment", _TEXT, "COL", "Figures for each value of this column. Repeatable."),
    "positive": ("--positive", _TEXT, "VALUE", "The class that F1 and AUC are of [default: the second of two]."),
    "min_rows": ("--min-rows", _COUNT, "N", "With fewer labelled rows no figure is given [default: 30]."),
    "document": ("-o", click.Path(path_type=Path), "FILE", "Write the contract, the job or the report to a file."),
    "force": ("--force", bool, "", "Overwrite the file of -o."),
}  # fmt: skip
_REPEATABLE = ("inputs", "segments")

#: What a run is made of; the other options are of one way of using the command.
_RUN = (
    "inputs", "sql", "output", "keep", "key", "partition_by", "contract", "max_rejected", "engine", "workers", "batch_rows",
    "memory", "incremental", "challenger", "label", "profile", "profile_spec", "log", "metrics",
)  # fmt: skip
_GOES_WITH: dict[str, tuple[str, ...]] = {
    "": (*_RUN, "fresh", "resume", "day"),
    "print_job": (*_RUN, "document", "force"),
    "draft_contract": ("inputs", "sql", "day", "memory", "document", "force"),
    "evaluate": (
        "labels", "label", "on", "by", "segments", "positive", "min_rows", "challenger", "memory", "document", "force",
    ),
}  # fmt: skip


def score_options(function: Function) -> Function:
    """All of them; what was not given is None, () or False, so that a job file's value can stand."""
    for name, (written, kind, metavar, text) in reversed(_OPTIONS.items()):
        if kind is bool:
            option = click.option(written, name, is_flag=True, help=text)
        else:
            option = click.option(
                written, name, type=kind, multiple=name in _REPEATABLE, metavar=metavar, default=None, help=text
            )
        function = option(function)
    return function


def written(name: str) -> str:
    """`partition_by` as it is written: `--partition-by`."""
    return "MODEL" if name == "model" else _OPTIONS[name][0]


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None and value != () and value is not False}


def way_of(options: Mapping[str, Any]) -> str:
    """How the command is used: "" (a run), "print_job", "draft_contract" or "evaluate".

    Raises click.UsageError naming the first option that does not go with it.
    """
    said = given(options)
    ways = [way for way in _GOES_WITH if way in said]
    if len(ways) > 1:
        raise click.UsageError(f"{written(ways[0])} and {written(ways[1])} do not go together")
    way = ways[0] if ways else ""
    for name in said:
        if name != way and name not in _GOES_WITH[way]:
            if way:
                raise click.UsageError(f"{written(name)} does not go with {written(way)}")
            others = [written(other) for other, names in _GOES_WITH.items() if name in names]
            raise click.UsageError(f"{written(name)} goes with {' and '.join(others)}")
    if "fresh" in said and "resume" in said:
        raise click.UsageError("--fresh and --resume do not go together")
    if "force" in said and "document" not in said:
        raise click.UsageError("--force goes with -o")
    return way
