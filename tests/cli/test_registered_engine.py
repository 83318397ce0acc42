"""The how-to for an own engine, followed to the letter: its code, registered as a package registers it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.batch.engines.clusters import contents
from tests.batch.graphs import linear, write_rows
from tests.cli.mlpack import mlpack_json
from tests.cli.registered import register_as_told


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package acme, registered, a model and rows of four shards."""
    register_as_told(tmp_path, monkeypatch, "docs/how-to/register-an-engine.md", "acme/mlpack_engine.py")
    rng = np.random.default_rng(0)
    linear(tmp_path / "m.onnx")
    for number in range(4):
        columns = {name: rng.normal(size=1000).astype(np.float32) for name in "ab"}
        write_rows(tmp_path / f"rows-{number}.parquet", columns)
    return tmp_path


def test_a_registered_engine_writes_the_table_of_the_local_one(acme: Path) -> None:
    tables = []
    for engine in ("pool", "local"):
        out = acme / engine
        line = ("score", acme / "m.onnx", "--input", acme / "rows-*.parquet", "--output", out, "--engine", engine)
        code, document = mlpack_json(*line)
        assert code == 0, document
        assert document["rows_out"] == 4000
        tables.append({name: content for name, content in contents(out).items() if name.endswith(".parquet")})
    assert len(tables[0]) == 4
    assert list(tables[0].values()) == list(tables[1].values())


def test_the_error_of_a_shard_is_the_commands(acme: Path) -> None:
    damaged = acme / "rows-2.parquet"
    content = bytearray(damaged.read_bytes())
    content[4:24] = bytes(20)  # the header of the first page
    damaged.write_bytes(content)
    line = ("score", acme / "m.onnx", "--input", acme / "rows-*.parquet", "--output", acme / "out", "--engine", "pool")
    code, document = mlpack_json(*line)
    assert code == 1
    assert document["error"]["kind"] == "bad-input", document
    assert "rows-2.parquet" in document["error"]["message"]
    assert not (acme / "out").exists()
