"""A first contract of a model from reference rows. Runs in a child process: model and rows are files not made here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow

from mlpack_edge.batch.contract.draft import draft
from mlpack_edge.batch.inputs.discover import Found, discover
from mlpack_edge.batch.inputs.reader import ShardReader
from mlpack_edge.batch.job import job_from_json
from mlpack_edge.batch.models import kinds_of_columns, model_file
from mlpack_edge.batch.plan import cut_shards
from mlpack_edge.batch.scoring.scorer import check_columns

Json = dict[str, Any]
Stage = Callable[[str], None]


def draft_contract(payload: Json, stage: Stage) -> Json:
    """payload: {"job": a Job's JSON, of which model, inputs and sql count, "staging": an empty folder}.

    Gives {"contract": TOML, "rows", "model_sha256", "notes"}; without inputs the bounds are those that the model alone
    tells. Raises BadInput where the model or the rows cannot be what they should be.
    """
    job = job_from_json(payload["job"])
    stage("opening the model")
    model = model_file(job.model)
    if not job.inputs and not job.sql:
        return {"contract": draft(model), "rows": 0, "model_sha256": model.sha256, "notes": []}
    stage("looking at the reference")
    found = discover(job, Path(payload["staging"]), stage, kinds_of_columns([model]))
    columns = check_columns(model, found.schema)
    rows = sum(item.rows for item in found.files)
    text = draft(model, _batches(found, columns, job.batch_rows, stage), found.schema)
    return {"contract": text, "rows": rows, "model_sha256": model.sha256, "notes": list(found.notes)}


def _batches(found: Found, columns: Sequence[str], batch_rows: int, stage: Stage) -> Iterator[pyarrow.RecordBatch]:
    """All rows of all inputs, in order."""
    done, rows = 0, sum(item.rows for item in found.files)
    for file, groups in zip(found.files, found.groups, strict=True):
        reader = ShardReader(file, found.schema, columns, ())
        for shard in cut_shards([groups]):
            for batch in reader.read(shard, batch_rows):
                stage(f"reading the reference, {done:,} of {rows:,} rows")
                yield batch
                done += batch.num_rows
        reader.close()
