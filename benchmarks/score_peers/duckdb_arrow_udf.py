"""DuckDB: a vectorized Arrow function inside a query, `COPY ... TO` Parquet."""

import inspect
from pathlib import Path

import duckdb
import pyarrow
from coded_model import CodedModel, Job, peer


def run(job: Job) -> None:
    connection = duckdb.connect(config={"threads": job.workers})
    score = CodedModel(job)
    names = [*job.numbers, *job.texts]

    def scored(*columns: pyarrow.ChunkedArray) -> pyarrow.Array:
        flat = [column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column for column in columns]
        rows = pyarrow.nulls(len(flat[0]), pyarrow.int64())
        made = score(pyarrow.RecordBatch.from_arrays([rows, *flat], names=[job.key, *names]))
        return pyarrow.StructArray.from_arrays([made["label"], made["probabilities"]], ["label", "probabilities"])

    # DuckDB counts the parameters that `inspect` sees.
    seen = [inspect.Parameter(f"c{place}", inspect.Parameter.POSITIONAL_ONLY) for place in range(len(names))]
    scored.__signature__ = inspect.Signature(seen)  # type: ignore[attr-defined]
    types = [duckdb.sqltypes.DOUBLE] * len(job.numbers) + [duckdb.sqltypes.VARCHAR] * len(job.texts)
    returned = duckdb.struct_type({"label": "BIGINT", "probabilities": "DOUBLE[2]"})
    connection.create_function("score", scored, types, returned, type="arrow")
    columns = ", ".join(f'"{name}"' for name in names)
    Path(job.output).mkdir(parents=True)
    connection.execute(
        f"COPY (SELECT {job.key}, s.label AS label, s.probabilities AS probabilities FROM "
        f"(SELECT {job.key}, score({columns}) AS s FROM read_parquet('{job.input}'))) "
        f"TO '{job.output}/part.parquet' (FORMAT parquet)"
    )


peer(run)
