"""A stream holds little more than a batch, however large the file is."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.row_streams.stream import open_rows

SIGNATURE = Signature((TensorSpec("x", "float32", ("n", 1000)),), ())
#: Prints how many bytes the process grew by at most while it read, and the rows.
READER = """
import resource, sys
from pathlib import Path
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.row_streams.stream import open_rows
stream = open_rows(Path(sys.argv[1]), Signature((TensorSpec("x", "float32", ("n", 10)),), ()))
next(stream.batches(1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(len(batch.feeds["x"]) for batch in stream.batches())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, rows)
"""


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_arrays_are_not_loaded_whole(save: Callable[..., None], tmp_path: Path) -> None:
    array = np.zeros((10_000, 1000), np.float32)  # 40 MB
    path = tmp_path / ("x.npy" if save is np.save else "x.npz")
    if save is np.save:
        np.save(path, array)
    else:
        save(path, x=array)
    del array
    stream = open_rows(path, SIGNATURE)
    tracemalloc.start()
    try:
        assert sum(len(batch.feeds["x"]) for batch in stream.batches(100)) == 10_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000  # 400 kB a batch


@pytest.mark.long
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_row_group_is_not_loaded_whole(kind: str, tmp_path: Path) -> None:
    rows = 3_000_000  # 240 MB
    table = pa.table({f"c{place}": np.random.default_rng(place).random(rows) for place in range(10)})
    if kind == "parquet":
        pq.write_table(table, tmp_path / "x", row_group_size=rows)
    else:
        feather.write_feather(table, tmp_path / "x", compression="lz4")
    del table
    done = subprocess.run(
        [sys.executable, "-c", READER, tmp_path / "x"], capture_output=True, text=True, check=True, timeout=300
    )
    grown, read = map(int, done.stdout.split())
    assert read == rows
    assert grown < 100_000_000
