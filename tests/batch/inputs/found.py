"""Inputs for tests, found and read the way a run does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlpack_edge.batch.inputs.discover import Found, discover
from mlpack_edge.batch.inputs.reader import ShardReader
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import cut_shards


def find(
    staging: Path, *inputs: str | Path, sql: str = "", key: str = "", wanted: Mapping[str, str] | None = None,
    stages: list[str] | None = None,
) -> Found:  # fmt: skip
    job = Job("m.onnx", tuple(str(each) for each in inputs), "out", sql=sql, key=key)
    return discover(job, staging, (stages if stages is not None else []).append, wanted or {})


def read(found: Found, columns: Sequence[str] = (), dictionary: Sequence[str] = (), batch_rows: int = 1000) -> Any:
    """All rows of all inputs as one `pyarrow.Table`."""
    batches = []
    schema = None
    for index, file in enumerate(found.files):
        reader = ShardReader(file, found.schema, list(columns) or found.schema.names, dictionary)
        for shard in cut_shards(found.groups):
            if shard.file == index:
                batches += reader.read(shard, batch_rows)
        reader.close()
    schema = batches[0].schema if batches else found.schema
    return pa.Table.from_batches(batches, schema)


def rows(found: Found) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = read(found).to_pydict()
    return columns


def write(path: Path, columns: Mapping[str, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, **options)
    return path


def peak_megabytes() -> int:
    """Most memory this program held so far. `getrusage` would count that of the process that started it as well."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024
