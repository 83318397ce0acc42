"""DuckDB: a query read as Arrow batches, one session, pyarrow's writer."""

from pathlib import Path

import duckdb
import pyarrow.parquet
from coded_model import CodedModel, Job, peer


def run(job: Job) -> None:
    connection = duckdb.connect(config={"threads": job.workers})
    score = CodedModel(job)
    columns = ", ".join(f'"{name}"' for name in job.columns)
    found = connection.execute(f"SELECT {columns} FROM read_parquet(?)", [job.input])
    Path(job.output).mkdir(parents=True)
    with pyarrow.parquet.ParquetWriter(f"{job.output}/part.parquet", job.schema) as writer:
        for batch in found.to_arrow_reader(1 << 17):
            writer.write_batch(score(batch))


peer(run)
