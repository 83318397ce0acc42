"""pandas and scikit-learn: the pipeline as it was trained, a row group at a time; labels follow from the probabilities."""

from pathlib import Path

import joblib
import numpy as np
import pyarrow.parquet
from coded_model import Job, batch_of, peer


def run(job: Job) -> None:
    pipeline = joblib.load(job.model.replace("-coded.onnx", ".joblib"))
    source = pyarrow.parquet.ParquetFile(job.input)
    Path(job.output).mkdir(parents=True)
    with pyarrow.parquet.ParquetWriter(f"{job.output}/part.parquet", job.schema) as writer:
        for group in range(source.num_row_groups):
            frame = source.read_row_group(group, columns=job.columns).to_pandas()
            probabilities = pipeline.predict_proba(frame[[*job.numbers, *job.texts]])
            label = pipeline.classes_[np.argmax(probabilities, axis=1)]
            writer.write_batch(batch_of(job, pyarrow.array(frame[job.key]), label, probabilities))


peer(run)
