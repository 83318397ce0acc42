"""Plans made by hand for tests: of Parquet files and one ONNX graph, without the planning of a whole run."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from mlpack_edge.batch.inputs.columnar import layout_of
from mlpack_edge.batch.inputs.fingerprint import fingerprint_of
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.models import model_file
from mlpack_edge.batch.plan import InputFile, Plan, cut_shards
from mlpack_edge.batch.scoring.scorer import check_columns


def plan_of(model: Path, files: Sequence[Path], contract: str = "", **options: Any) -> Plan:
    """What planning would give for these files of one schema; options: of the job."""
    job = Job(str(model), tuple(str(path) for path in files), "out", **options)
    layouts = [layout_of(path.name, path, "parquet") for path in files]
    schema = layouts[0].schema
    found = model_file(str(model))
    kept = schema.names if job.keep == ("*",) else job.aside
    needed = {*check_columns(found, schema, job.aside), *kept}
    return Plan(
        job=job,
        models=(found,),
        inputs=tuple(
            InputFile(path.name, str(path), "parquet", layout.rows, fingerprint_of(path))
            for path, layout in zip(files, layouts, strict=True)
        ),
        kept=(),
        shards=cut_shards([layout.groups for layout in layouts]),
        schema=base64.b64encode(schema.serialize()).decode(),
        reads=tuple(name for name in schema.names if name in needed),
        contract=contract,
        versions=(),
    )


def table_of(folder: Path) -> pyarrow.Table:
    """All rows of a folder of shards, in the order of the shards."""
    parts = sorted(folder.glob("[0-9]*/part.parquet"))
    return pyarrow.concat_tables([pyarrow.parquet.read_table(path) for path in parts])


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.rows = 0
        self.facts: list[Any] = []
        self.notes: list[str] = []

    def progress(self, rows: int) -> None:
        self.rows += rows

    def finished(self, facts: Any) -> None:
        self.facts.append(facts)

    def note(self, text: str) -> None:
        self.notes.append(text)
