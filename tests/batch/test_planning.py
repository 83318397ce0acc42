"""What is refused before the first row, and what an incremental run makes of inputs without rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.result import RunResult
from mlpack_edge.batch.run import run_job
from mlpack_edge.core.errors import BadInput, CheckFailed
from tests.cli.score_jobs import write_model


class _Silent:
    """A listener that keeps nothing."""

    def stage(self, text: str) -> None: ...

    def planned(self, run_key: str, rows: int, shards: int, reused: int, changed: Sequence[str]) -> None: ...

    def progress(self, rows: int) -> None: ...

    def finished(self, facts: ShardFacts) -> None: ...

    def note(self, text: str) -> None: ...


def _write(path: Path, rows: int, **more: Any) -> None:
    columns = {name: pa.array([1.0] * rows, pa.float32()) for name in "ab"}
    pq.write_table(pa.table({**columns, **more}), path)


def _run(folder: Path, **options: Any) -> RunResult:
    job = Job(str(folder / "m.onnx"), (str(folder / "*.parquet"),), str(folder / "out"), incremental=True, **options)
    return run_job(job, _Silent(), lambda: datetime.now(UTC))


def test_rows_of_other_types_are_not_put_beside_those_that_stay(tmp_path: Path) -> None:
    """Polars, DuckDB and pyarrow read no directory in which a column is int32 in one file and int64 in another."""
    write_model(tmp_path / "m.onnx")
    _write(tmp_path / "1.parquet", 2, k=pa.array([1, 2], pa.int32()))
    _run(tmp_path, keep=("k",))
    _write(tmp_path / "2.parquet", 2, k=pa.array([1, 2**40], pa.int64()))
    with pytest.raises(BadInput, match="column 'k' is int64 now, and int32 there"):
        _run(tmp_path, keep=("k",))
    (tmp_path / "2.parquet").unlink()
    _write(tmp_path / "3.parquet", 2, k=pa.array([3, 4], pa.int32()))
    assert _run(tmp_path, keep=("k",)).table_rows == 4


def test_types_that_parquet_stores_as_others_are_the_same_in_the_next_run(tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx")
    for number in (1, 2):
        more = {"when": pa.array([1], pa.timestamp("s")), "what": pa.array([[1]], pa.list_(pa.int64(), 1))}
        _write(tmp_path / f"{number}.parquet", 1, **more, words=pa.array(["x"]).dictionary_encode())
        assert _run(tmp_path, keep=("*",)).table_rows == number


def test_a_partitioned_table_is_added_to(tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx")
    for number in (1, 2):
        _write(tmp_path / f"{number}.parquet", 2, k=pa.array([1, 2]))
        assert _run(tmp_path, partition_by="k").table_rows == 2 * number


def test_a_table_keeps_its_columns_where_all_its_inputs_became_empty(tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx")
    _write(tmp_path / "1.parquet", 2)
    _write(tmp_path / "2.parquet", 0)
    _run(tmp_path)
    _write(tmp_path / "1.parquet", 0)
    assert _run(tmp_path).table_rows == 0
    table = pyarrow.dataset.dataset(tmp_path / "out").to_table()
    assert (table.num_rows, table.column_names) == (0, ["source_file", "source_row", "score"])


@pytest.mark.parametrize("damage", [{"b": pa.array(["1", "2"])}, None])
def test_columns_that_are_not_as_agreed_break_the_contract_also_where_the_model_refuses_them(
    damage: dict[str, pa.Array] | None, tmp_path: Path
) -> None:
    """The exit code is then 3, at which somebody looks, and not that of a fault that may pass."""
    write_model(tmp_path / "m.onnx")
    (tmp_path / "c.toml").write_text('schema = 1\n[columns.b]\ntype = "number"\n')
    pq.write_table(pa.table({"a": pa.array([1.0, 2.0], pa.float32()), **(damage or {})}), tmp_path / "1.parquet")
    with pytest.raises(CheckFailed, match=r"the column 'b' (holds string|is missing)"):
        _run(tmp_path, contract=str(tmp_path / "c.toml"))


def test_a_label_that_is_not_there_is_named_as_the_option_that_asked_for_it(tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx")
    _write(tmp_path / "1.parquet", 2)
    with pytest.raises(BadInput, match="--label: the input has no column 'truth'"):
        _run(tmp_path, label="truth")


def test_a_renamed_input_is_a_new_one_and_the_refusal_says_how_to_go_on(tmp_path: Path) -> None:
    write_model(tmp_path / "m.onnx")
    _write(tmp_path / "1.parquet", 2, k=pa.array([1, 2]))
    _run(tmp_path, key="k")
    (tmp_path / "1.parquet").rename(tmp_path / "2.parquet")
    with pytest.raises(CheckFailed, match="does not name every row once") as fault:
        _run(tmp_path, key="k")
    assert "was renamed, run once with --fresh" in fault.value.hint
    assert _run(tmp_path, key="k", fresh=True).table_rows == 2
