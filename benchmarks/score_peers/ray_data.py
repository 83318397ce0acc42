"""Ray Data: `map_batches` as tasks (actors would hold the cores that reading and writing need), `write_parquet`."""

import logging
import os
from pathlib import Path

os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import pyarrow
import ray
import ray.data
from coded_model import CodedModel, Job, peer


def run(job: Job) -> None:
    score = CodedModel(job)  # travels without its session: a task opens its own

    def scored(table: pyarrow.Table) -> pyarrow.Table:
        return pyarrow.Table.from_batches([score(table)])

    here = str(Path(__file__).resolve().parent)
    ray.init(num_cpus=job.workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
             object_store_memory=1 << 30, runtime_env={"env_vars": {"PYTHONPATH": here}})  # fmt: skip
    ray.data.DataContext.get_current().enable_progress_bars = False
    frame = ray.data.read_parquet(job.input, columns=job.columns)
    frame = frame.map_batches(scored, batch_format="pyarrow", batch_size=1 << 16)
    frame.write_parquet(job.output)
    ray.shutdown()


peer(run)
