"""Polars: a lazy scan, a Python function over the batches of its streaming engine, `sink_parquet`."""

import os
from pathlib import Path

from coded_model import CodedModel, Job, peer


def run(job: Job) -> None:
    os.environ["POLARS_MAX_THREADS"] = str(job.workers)
    import polars

    score = CodedModel(job)
    codes = [
        polars.col(name).cast(polars.Enum(job.categories[name]), strict=False).to_physical().cast(polars.Int64)
        .fill_null(len(job.categories[name]))
        for name in job.texts
    ]  # fmt: skip
    schema = {job.key: polars.Int64, "label": polars.Int64, "probabilities": polars.Array(polars.Float64, 2)}

    def scored(frame: polars.DataFrame) -> polars.DataFrame:
        numbers = frame.select(job.numbers).to_numpy(order="c")
        label, probabilities = score.run(numbers, frame.select(job.texts).to_numpy(order="c"))
        made = {job.key: frame[job.key], "label": label, "probabilities": probabilities}
        return polars.DataFrame(made, schema=schema)

    lazy = polars.scan_parquet(job.input).select(job.key, *job.numbers, *codes)
    Path(job.output).mkdir(parents=True)
    lazy.map_batches(scored, schema=schema, streamable=True).sink_parquet(f"{job.output}/part.parquet")


peer(run)
