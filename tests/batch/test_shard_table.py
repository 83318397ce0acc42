"""The columns of a scored table: each has a name of its own, also where the output compares names as SQL does."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mlpack_edge.batch.job import Job
from mlpack_edge.batch.shard_table import TableLayout
from mlpack_edge.core.errors import BadInput

_SCHEMA = pa.schema([("k", pa.int64()), ("K", pa.int64())])
_SCORE = [pa.field("score", pa.float32())]


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(BadInput, match="two columns 'score'"):
        TableLayout(Job("m", ("x",), "out", key="k"), _SCHEMA, _SCORE * 2)


@pytest.mark.parametrize("output", ["d.duckdb::t", "delta::d"])
def test_a_database_does_not_tell_k_from_capital_k(output: str) -> None:
    with pytest.raises(BadInput, match=r"'k' and 'K', which .* does not tell apart"):
        TableLayout(Job("m", ("x",), output, keep=("k", "K")), _SCHEMA, _SCORE)


def test_a_directory_of_parquet_does() -> None:
    layout = TableLayout(Job("m", ("x",), "out", keep=("k", "K")), _SCHEMA, _SCORE)
    assert layout.schema.names == ["source_file", "source_row", "k", "K", "score"]
