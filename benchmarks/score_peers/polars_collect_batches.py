"""Polars: `collect_batches` of a lazy scan, one session, pyarrow's writer."""

import os
from pathlib import Path

from coded_model import CodedModel, Job, batch_of, peer


def run(job: Job) -> None:
    os.environ["POLARS_MAX_THREADS"] = str(job.workers)
    import polars
    import pyarrow.parquet

    score = CodedModel(job)
    codes = [
        polars.col(name).cast(polars.Enum(job.categories[name]), strict=False).to_physical().cast(polars.Int64)
        .fill_null(len(job.categories[name]))
        for name in job.texts
    ]  # fmt: skip
    lazy = polars.scan_parquet(job.input).select(job.key, *job.numbers, *codes)
    Path(job.output).mkdir(parents=True)
    with pyarrow.parquet.ParquetWriter(f"{job.output}/part.parquet", job.schema) as writer:
        for frame in lazy.collect_batches(chunk_size=1 << 17, maintain_order=True):
            numbers = frame.select(job.numbers).to_numpy(order="c")
            label, probabilities = score.run(numbers, frame.select(job.texts).to_numpy(order="c"))
            writer.write_batch(batch_of(job, frame[job.key].to_arrow(), label, probabilities))


peer(run)
