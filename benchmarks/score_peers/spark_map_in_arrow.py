"""Spark on this machine: `mapInArrow`, `write.parquet`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow
from coded_model import CodedModel, Job, peer


def run(job: Job) -> None:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent)
    session = (
        SparkSession.builder.master(f"local[{job.workers}]").config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "2g").config("spark.sql.execution.arrow.maxRecordsPerBatch", 1 << 16)
        .config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"]).getOrCreate()
    )  # fmt: skip
    session.sparkContext.setLogLevel("ERROR")

    def scored(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        score = CodedModel(job)
        for batch in batches:
            made = score(batch)
            lists = made["probabilities"].cast(pyarrow.list_(pyarrow.float64()))
            yield pyarrow.RecordBatch.from_arrays([made[job.key], made["label"], lists], names=made.schema.names)

    frame = session.read.parquet(job.input).select(*job.columns)
    frame.mapInArrow(scored, f"{job.key} long, label long, probabilities array<double>").write.parquet(job.output)
    session.stop()


peer(run)
