"""A folder survives its journey as rows, byte by byte."""

from __future__ import annotations

from pathlib import Path

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.engines import packing
from mlpack_edge.batch.engines.packing import SCHEMA, packed, unpack

_NAMES = st.sampled_from(
    ["part.parquet", "month=7/part.parquet", "month=é/part.parquet", "facts.json", "rejected.jsonl"]
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(_NAMES, st.binary(max_size=40)), st.integers(1, 16))
def test_every_file_arrives_as_it_was_whatever_its_size(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], block: int
) -> None:
    source, target = tmp_path_factory.mktemp("from"), tmp_path_factory.mktemp("to")
    for name, content in files.items():
        path = source / "shards" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    before, packing.BLOCK = packing.BLOCK, block
    try:
        found = unpack(packed(7, source, ("notes.json", "shards")), target)
    finally:
        packing.BLOCK = before
    assert found == ({7} if files else set())
    arrived = target / "00007" / "shards"
    assert {str(path.relative_to(arrived)): path.read_bytes() for path in arrived.rglob("*") if path.is_file()} == files


def test_a_block_that_comes_too_early_is_refused(tmp_path: Path) -> None:
    row = pyarrow.RecordBatch.from_pylist([{"shard": 0, "name": "a", "place": 1, "bytes": b"x"}], schema=SCHEMA)
    with pytest.raises(ValueError, match="does not follow"):
        unpack([row], tmp_path)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "b/../../a"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    row = pyarrow.RecordBatch.from_pylist([{"shard": 0, "name": name, "place": 0, "bytes": b"x"}], schema=SCHEMA)
    with pytest.raises(ValueError, match="leads out"):
        unpack([row], tmp_path)
    assert not list(tmp_path.parent.glob("a"))
