"""The same model and the same `RecordBatch -> RecordBatch` function for every peer; runs in the peers' environments.

A peer is `python PEER.py JOB.json`. The job says "input", "output", "model" and "meaning" (what `score_coded.py` wrote),
"key" and "workers". A peer writes Parquet under "output" with the key, `label` int64 and `probabilities` float64 of two,
and prints how long that took without the start of Python and its imports.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow
import pyarrow.compute

#: Rows of a call of the model: what scored fastest, for all of them.
BLOCK = 4096
PROBABILITIES = pyarrow.list_(pyarrow.float64(), 2)


class Job:
    def __init__(self, path: str) -> None:
        said = json.loads(Path(path).read_text())
        self.input: str = said["input"]
        self.output: str = said["output"]
        self.model: str = said["model"]
        self.key: str = said["key"]
        self.workers: int = said["workers"]
        meaning = json.loads(Path(said["meaning"]).read_text())
        self.numbers: list[str] = meaning["numbers"]
        self.texts: list[str] = meaning["texts"]
        self.categories: dict[str, list[str]] = meaning["categories"]
        self.columns = [self.key, *self.numbers, *self.texts]
        self.schema = pyarrow.schema(
            [(self.key, pyarrow.int64()), ("label", pyarrow.int64()), ("probabilities", PROBABILITIES)]
        )


class CodedModel:
    """One session with one thread; made where it is used, since sessions do not travel between processes."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self.job}

    @cached_property
    def session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(self.job.model, options, providers=["CPUExecutionProvider"])

    @cached_property
    def value_sets(self) -> dict[str, Any]:
        return {name: pyarrow.array(known, pyarrow.string()) for name, known in self.job.categories.items()}

    def codes(self, name: str, column: Any) -> np.ndarray:
        """int64 `[rows]` of a text column, dictionary-coded or not."""
        if isinstance(column, pyarrow.ChunkedArray):
            column = column.combine_chunks()
        known, missing = self.value_sets[name], len(self.job.categories[name])
        if pyarrow.types.is_dictionary(column.type):
            table = pyarrow.compute.index_in(column.dictionary.cast(pyarrow.string()), known).fill_null(missing)
            return table.to_numpy().astype(np.int64)[column.indices.to_numpy(zero_copy_only=False)]
        found = pyarrow.compute.index_in(column.cast(pyarrow.string()), known).fill_null(missing)
        return found.to_numpy().astype(np.int64)

    def run(self, numbers: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """label int64 `[rows]`, probabilities float64 `[rows, 2]`."""
        rows = len(numbers)
        label, probabilities = np.empty(rows, np.int64), np.empty((rows, 2), np.float64)
        for start in range(0, rows, BLOCK):
            block = slice(start, start + BLOCK)
            feeds = {"numbers": numbers[block], "codes": codes[block]}
            label[block], probabilities[block] = self.session.run(["label", "probabilities"], feeds)
        return label, probabilities

    def __call__(self, batch: Any) -> Any:
        """A batch (or table) of the input's columns as one of the output's."""
        numbers = np.empty((batch.num_rows, len(self.job.numbers)), np.float64)
        for place, name in enumerate(self.job.numbers):
            numbers[:, place] = batch.column(name).to_numpy() if _chunked(batch, name) else _flat(batch.column(name))
        codes = np.empty((batch.num_rows, len(self.job.texts)), np.int64)
        for place, name in enumerate(self.job.texts):
            codes[:, place] = self.codes(name, batch.column(name))
        label, probabilities = self.run(numbers, codes)
        key = batch.column(self.job.key)
        return batch_of(self.job, key.combine_chunks() if _chunked(batch, self.job.key) else key, label, probabilities)


def _chunked(batch: Any, name: str) -> bool:
    return isinstance(batch.column(name), pyarrow.ChunkedArray)


def _flat(array: Any) -> np.ndarray:
    return array.to_numpy(zero_copy_only=False)


def batch_of(job: Job, key: Any, label: np.ndarray, probabilities: np.ndarray) -> Any:
    """The output's columns as a record batch."""
    vectors = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(probabilities.ravel()), 2)
    return pyarrow.RecordBatch.from_arrays([key, pyarrow.array(label), vectors], schema=job.schema)


def in_order(score: Callable[[Any], Any], batches: Iterator[Any], workers: int) -> Iterator[Any]:
    """Scored by so many threads, in the order of the batches, with two waiting for each thread."""
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Any] = deque()
        for batch in batches:
            waiting.append(pool.submit(score, batch))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def peer(run: Callable[[Job], None]) -> None:
    """Run a peer as the command line says, and print its seconds."""
    job = Job(sys.argv[1])
    begin = time.perf_counter()
    run(job)
    print(json.dumps({"seconds": round(time.perf_counter() - begin, 3)}))
