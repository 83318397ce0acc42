"""pyarrow: a dataset scanned with its own read-ahead, texts as dictionaries, two threads that score, one writer."""

from pathlib import Path

import pyarrow
import pyarrow.dataset
import pyarrow.parquet
from coded_model import CodedModel, Job, in_order, peer


def run(job: Job) -> None:
    pyarrow.set_cpu_count(job.workers)
    score = CodedModel(job)
    texts = pyarrow.dataset.ParquetReadOptions(dictionary_columns=job.texts)
    source = pyarrow.dataset.dataset(job.input, format=pyarrow.dataset.ParquetFileFormat(read_options=texts))
    batches = source.to_batches(columns=job.columns, batch_size=1 << 16, batch_readahead=4, fragment_readahead=1)
    Path(job.output).mkdir(parents=True)
    with pyarrow.parquet.ParquetWriter(f"{job.output}/part.parquet", job.schema) as writer:
        for batch in in_order(score, batches, job.workers):
            writer.write_batch(batch)


peer(run)
