"""Dask: a data frame of a partition a row group, `map_partitions`, `to_parquet`, on threads."""

import dask
import dask.dataframe
import numpy as np
import pandas
import pyarrow
from coded_model import CodedModel, Job, peer


def run(job: Job) -> None:
    score = CodedModel(job)
    vectors = pandas.ArrowDtype(pyarrow.list_(pyarrow.float64(), 2))

    def scored(frame: pandas.DataFrame) -> pandas.DataFrame:
        codes = np.empty((len(frame), len(job.texts)), np.int64)
        for place, name in enumerate(job.texts):
            found = pandas.Categorical(frame[name], categories=job.categories[name]).codes.astype(np.int64)
            codes[:, place] = np.where(found < 0, len(job.categories[name]), found)
        label, probabilities = score.run(np.ascontiguousarray(frame[job.numbers].to_numpy(np.float64)), codes)
        lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(probabilities.ravel()), 2)
        columns = {
            job.key: frame[job.key].to_numpy(),
            "label": label,
            "probabilities": pandas.array(lists, dtype=vectors),
        }
        return pandas.DataFrame(columns, index=frame.index)

    meta = pandas.DataFrame(
        {job.key: pandas.Series([], dtype="int64"), "label": pandas.Series([], dtype="int64"),
         "probabilities": pandas.Series([], dtype=vectors)}
    )  # fmt: skip
    with dask.config.set(scheduler="threads", num_workers=job.workers):
        frame = dask.dataframe.read_parquet(job.input, columns=job.columns, split_row_groups=1)
        frame.map_partitions(scored, meta=meta).to_parquet(
            job.output, write_index=False, schema={"probabilities": pyarrow.list_(pyarrow.float64(), 2)}
        )


peer(run)
