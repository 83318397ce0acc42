"""Tables, views and queries of DuckDB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from mlpack_edge.batch.inputs.discover import Found
from mlpack_edge.core.errors import BadInput
from tests.batch.inputs.found import find, read, rows, write


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "my data.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            CREATE TABLE t AS SELECT i::INTEGER AS id, (i * 0.5)::DOUBLE AS x, 'v' || (i % 3) AS c FROM range(5) r(i);
            CREATE SCHEMA "my schema";
            CREATE TABLE "my schema"."Größe 1" AS SELECT 7 AS a, 'x'::ENUM ('x', 'y') AS e;
            CREATE VIEW v AS SELECT c, count(*) AS n FROM t GROUP BY c;
            CREATE TABLE empty (a INTEGER, b VARCHAR);
            """
        )
    return path


def _digest(found: Found) -> str:
    return found.files[0].fingerprint.digest


def test_a_table_is_staged_under_its_name(tmp_path: Path, database: Path) -> None:
    found = find(tmp_path / "staging", f"{database}::t")
    (file,) = found.files
    assert (file.name, file.format, file.rows, file.staged) == (f"{database}::t", "parquet", 5, True)
    assert found.schema == pa.schema([("id", pa.int32()), ("x", pa.float64()), ("c", pa.string())])
    assert rows(found) == {"id": [0, 1, 2, 3, 4], "x": [0, 0.5, 1, 1.5, 2], "c": ["v0", "v1", "v2", "v0", "v1"]}


def test_views_schemas_and_names_of_every_kind(tmp_path: Path, database: Path) -> None:
    assert rows(find(tmp_path / "staging", f"{database}::v", key="c")) == {"c": ["v0", "v1", "v2"], "n": [2, 2, 1]}
    found = find(tmp_path / "staging", f"{database}::my schema.Größe 1")
    assert rows(found) == {"a": [7], "e": ["x"]} and found.schema.field("e").type == pa.string()
    assert rows(find(tmp_path / "staging", f"{database}::main.T"))["id"] == [0, 1, 2, 3, 4]  # as SQL compares names


def test_a_table_without_rows(tmp_path: Path, database: Path) -> None:
    found = find(tmp_path / "staging", f"{database}::empty")
    assert found.files[0].rows == 0 and found.schema == pa.schema([("a", pa.int32()), ("b", pa.string())])


def test_a_query_joins_files_and_tables(tmp_path: Path, database: Path) -> None:
    other = write(tmp_path / "other.parquet", {"id": [4, 2], "y": ["four", "two"]})
    sql = f"SELECT id, y, sum(x) AS s FROM t JOIN '{other}' USING (id) GROUP BY ALL;  -- a remark"
    found = find(tmp_path / "staging", database, sql=sql, key="id")
    assert found.files[0].name == "sql"
    assert rows(found) == {"id": [2, 4], "y": ["two", "four"], "s": [1.0, 2.0]}
    assert rows(find(tmp_path / "staging", sql=f"FROM '{other}' -- in memory")) == {"id": [4, 2], "y": ["four", "two"]}


def test_the_fingerprint_is_of_the_rows(tmp_path: Path, database: Path) -> None:
    """A database file changes with every other table in it, and a query may read anything."""
    before = find(tmp_path / "staging", f"{database}::t")
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE another AS SELECT 1 AS a")
    assert find(tmp_path / "other", f"{database}::t").files[0].fingerprint == before.files[0].fingerprint
    with duckdb.connect(str(database)) as connection:
        connection.execute("UPDATE t SET x = 9 WHERE id = 3")
    after = find(tmp_path / "staging", f"{database}::t")
    assert _digest(after) != _digest(before) and rows(after)["x"] == [0, 0.5, 1, 9, 2]


def test_with_a_key_the_rows_come_in_its_order_and_the_same_each_time(tmp_path: Path) -> None:
    sql = "SELECT (i * 7919) % 300_000 AS k, i / 3 AS x, 'v' || (i % 11) AS c FROM range(300_000) r(i)"
    found = find(tmp_path / "one", sql=sql, key="k")
    assert read(found, ["k"])["k"].to_pylist() == list(range(300_000))
    assert found.groups == ((1 << 17, 1 << 17, 300_000 - (1 << 18)),)
    assert _digest(
        find(tmp_path / "two", sql=sql.replace("range(300_000)", "range(299_999, -1, -1)"), key="k")
    ) == _digest(found)


def test_a_query_that_groups_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    sql = "SELECT i % 50_021 AS g, avg(i / 7) AS x FROM range(400_000) r(i) GROUP BY ALL"
    assert len({_digest(find(tmp_path / str(run), sql=sql)) for run in range(3)}) == 1


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT absent FROM range(3)", "absent"),
        ("SELECT 1; SELECT 2", "not one query"),
        ("CREATE TABLE x AS SELECT 1", "not one query"),
        ("COPY (SELECT 1) TO 'x.csv'", "not one query"),
        ("", "no input is named"),
        ("SELECT 'a' || i AS t, CAST('a' || i AS INTEGER) AS n FROM range(9) r(i)", "Could not convert"),
        ("SELECT 1 AS a, 2 AS a", "two columns are named 'a'"),
        ("SELECT INTERVAL 1 DAY AS d", "a type that cannot be staged"),
        ("FROM 'absent.parquet'", "No files found"),
        ("SELECT * FROM rows", "rows"),  # a variable of this very module is no table
    ],
)
def test_queries_that_cannot_be_run_are_refused_with_what_duckdb_says(tmp_path: Path, sql: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        find(tmp_path / "staging", sql=sql)
    assert said in caught.value.message + caught.value.why
    assert not list((tmp_path / "staging").glob("*.parquet"))


def test_what_is_not_there_is_refused_by_name(tmp_path: Path, database: Path) -> None:
    with pytest.raises(BadInput, match="no database file") as caught:
        find(tmp_path / "staging", tmp_path / "absent.duckdb::t")
    with pytest.raises(BadInput, match="has no table or view 'absent'") as caught:
        find(tmp_path / "staging", f"{database}::absent")
    assert caught.value.hint == "it has: empty, my schema.Größe 1, t, v"
    (tmp_path / "no.duckdb").write_bytes(b"x" * 10_000)
    with pytest.raises(BadInput, match=r"no\.duckdb is no database of DuckDB"):
        find(tmp_path / "staging", tmp_path / "no.duckdb::t")
    with pytest.raises(BadInput, match="at most one database"):
        find(tmp_path / "staging", database, tmp_path / "other.duckdb", sql="SELECT 1")


def test_a_database_that_someone_writes_to_is_refused_with_a_hint(tmp_path: Path, database: Path) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"open\n"
        with pytest.raises(BadInput, match="DuckDB cannot read") as caught:
            find(tmp_path / "staging", f"{database}::t")
        writer.communicate()
    assert "another process is writing" in caught.value.hint


def test_nothing_in_the_database_changes(tmp_path: Path, database: Path) -> None:
    before = database.read_bytes()
    find(tmp_path / "staging", f"{database}::t", key="id")
    assert database.read_bytes() == before and sorted(tmp_path.iterdir()) == [database, tmp_path / "staging"]


_MEASURE = """
import sys
from pathlib import Path
from tests.batch.inputs.found import find, peak_megabytes
found = find(Path(sys.argv[1]), sql=f"SELECT i AS k, i * 0.37 AS x, 'v' || (i % 100) AS c FROM range({sys.argv[2]}) r(i)", key="k")
print(peak_megabytes())
"""


@pytest.mark.long
def test_memory_does_not_follow_the_number_of_rows(tmp_path: Path) -> None:
    """8,000,000 sorted rows are 250 MB; more than the connection may hold are spilled."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path), "8000000"], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert int(done.stdout) < 400, done.stdout
    assert not list(tmp_path.glob(".spill*"))


def test_a_file_that_is_no_database_is_called_so(tmp_path: Path) -> None:
    other = tmp_path / "t.csv"
    other.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(BadInput, match=r"t\.csv is no database of DuckDB"):
        find(tmp_path / "staging", f"{other}::t")
