"""Find a job's inputs, bring them into a form that is read by row groups, and agree on one schema."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.batch.inputs.opened import Opened, open_file
from mlpack_edge.batch.inputs.own_output import refuse_own_output
from mlpack_edge.batch.inputs.partitions import partition_of, typed_partitions
from mlpack_edge.batch.inputs.schemas import common_schema, with_constants
from mlpack_edge.batch.inputs.sources import Source, sources
from mlpack_edge.batch.inputs.staging import Staging
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import InputFile
from mlpack_edge.core.errors import BadInput

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """files: in the order in which their rows come. groups: rows of each file's row groups or record batches.
    schema: `pyarrow.Schema` that all are read as (text in every layout is `string`). notes: for the user.
    """

    files: tuple[InputFile, ...]
    groups: tuple[tuple[int, ...], ...]
    schema: Any
    notes: tuple[str, ...]


def discover(job: Job, staging: Path, stage: Report, wanted: Mapping[str, str]) -> Found:
    """The inputs of a job, in the order of its patterns, files of one pattern sorted.

    staging: folder for what is staged as Parquet; what lies there of an earlier run over the same source is used again,
    with `job.fresh` removed.
    stage: told what is being done. wanted: "text" or one of `wanted.NUMBERS` for each column that the model names: the types of
    CSV and JSON lines follow it. Raises BadInput, MissingExtra or IoFault naming the input.
    """
    folder = Staging(staging, job.fresh)
    if job.sql:
        from mlpack_edge.batch.inputs.database import open_query

        items = [open_query(job, folder, stage)]
        partitions: list[dict[str, str | None]] = [{}]
    else:
        if not job.inputs:
            raise BadInput("no input is named", "--input GLOB, FILE.duckdb::TABLE or a URL; or --sql QUERY")
        refuse_own_output(job)
        items, partitions = [], []
        for source in _local(sources(job.inputs), folder, stage):
            items.append(_opened(source, job, folder, stage, wanted))
            partitions.append(partition_of(items[-1].name) if source.kind != "table" else {})
    return _agreed(items, partitions, wanted)


def _local(found: Sequence[Source], folder: Staging, stage: Report) -> list[Source]:
    """URLs with wildcards as the URLs they stand for."""
    if all(source.kind != "url" for source in found):
        return list(found)
    from mlpack_edge.batch.inputs.remote import expanded

    urls = {source.text: [source] if source.kind != "url" else expanded(source) for source in found}
    return list({each.name: each for source in found for each in urls[source.text]}.values())


def _opened(source: Source, job: Job, folder: Staging, stage: Report, wanted: Mapping[str, str]) -> Opened:
    if source.kind == "table":
        from mlpack_edge.batch.inputs.database import open_table

        return open_table(source, job, folder, stage)
    if source.kind == "url":
        from mlpack_edge.batch.inputs.remote import open_url

        return open_url(source.text, folder, stage, wanted)
    try:
        source.text.encode()
    except UnicodeEncodeError as fault:
        raise BadInput(f"the name of {source.text!r} is not UTF-8", "rename the file", why=str(fault)) from fault
    return open_file(source.text, Path(source.text), folder, stage, wanted)


def _agreed(
    items: Sequence[Opened], partitions: Sequence[Mapping[str, str | None]], wanted: Mapping[str, str]
) -> Found:
    """All inputs under one schema."""
    for name, times in Counter(item.name for item in items).items():
        if times > 1:
            raise BadInput(f"two inputs are named {name}", "score them in two runs, or rename one")
    notes = [note for item in items for note in item.notes]
    shown: list[dict[str, str | None]] = []
    for item, partition in zip(items, partitions, strict=True):
        own = set(item.layout.schema.names)
        notes += [
            f"{item.name}: column {key!r} is the file's own, not its directory's" for key in partition if key in own
        ]
        shown.append({key: value for key, value in partition.items() if key not in own})
    values, kinds = typed_partitions(shown, wanted)
    schemas = [
        (item.name, with_constants(item.name, item.layout.schema, {key: kinds[key] for key in constants}))
        for item, constants in zip(items, values, strict=True)
    ]
    schema = common_schema(schemas)
    if not len(schema):
        raise BadInput(f"{items[0].name} holds no columns", "name a table with columns")
    files = tuple(
        InputFile(
            name=item.name, path=os.path.abspath(item.path), format=item.format, rows=item.layout.rows,  # noqa: PTH100
            fingerprint=item.fingerprint, constants=tuple(constants.items()), staged=item.staged,
            elsewhere=item.elsewhere,
        )
        for item, constants in zip(items, values, strict=True)
    )  # fmt: skip
    return Found(files, tuple(item.layout.groups for item in items), schema, tuple(notes))
