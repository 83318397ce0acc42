"""Daft: a batch function on the native runner, `write_parquet`."""

import os

os.environ["DAFT_RUNNER"] = "native"
os.environ["DAFT_PROGRESS_BAR"] = "0"
os.environ["DO_NOT_TRACK"] = os.environ["DAFT_ANALYTICS_ENABLED"] = "0"

import daft
import pyarrow
from coded_model import CodedModel, Job, peer


def run(job: Job) -> None:
    score = CodedModel(job)
    names = [*job.numbers, *job.texts]
    returned = daft.DataType.struct(
        {"label": daft.DataType.int64(), "probabilities": daft.DataType.fixed_size_list(daft.DataType.float64(), 2)}
    )

    @daft.udf(return_dtype=returned, batch_size=1 << 16)
    def scored(*columns: daft.Series) -> pyarrow.Array:
        flat = [column.to_arrow() for column in columns]
        rows = pyarrow.nulls(len(flat[0]), pyarrow.int64())
        made = score(pyarrow.RecordBatch.from_arrays([rows, *flat], names=[job.key, *names]))
        return pyarrow.StructArray.from_arrays([made["label"], made["probabilities"]], ["label", "probabilities"])

    frame = daft.read_parquet(job.input).select(*job.columns)
    frame = frame.select(job.key, scored(*(daft.col(name) for name in names)).alias("s"))
    frame = frame.select(
        job.key, daft.col("s")["label"].alias("label"), daft.col("s")["probabilities"].alias("probabilities")
    )
    frame.write_parquet(job.output)


peer(run)
