from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpack_edge.batch.inputs.fingerprint import appended_rows, fingerprint_of, unchanged
from mlpack_edge.core.errors import BadInput, IoFault
from tests.batch.inputs.found import write


def test_a_parquet_file_is_known_by_its_footer_and_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"x": [1, 2, 3]})
    known = fingerprint_of(path)
    assert not known.whole and known.size == path.stat().st_size and "mtime_ns" in known.key()
    assert fingerprint_of(path) == known
    assert fingerprint_of(write(tmp_path / "b.parquet", {"x": [1, 2, 4]})).digest != known.digest  # statistics differ


def test_any_other_file_is_known_by_all_its_bytes_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    known = fingerprint_of(path)
    assert known.whole
    os.utime(path, (1, 1))
    assert fingerprint_of(path).key() == known.key()
    path.write_text("x\n2\n")
    assert fingerprint_of(path).key() != known.key()


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_a_parquet_file_without_its_end_is_refused(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.parquet", {"x": list(range(1000))})
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(BadInput, match=r"a\.parquet begins like a Parquet file and does not end like one"):
        fingerprint_of(path)


def test_a_footer_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1")
    with pytest.raises(BadInput):
        fingerprint_of(path)


def test_what_is_no_regular_file_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="no regular file"):
        fingerprint_of(pipe)
    with pytest.raises(IoFault):
        fingerprint_of(tmp_path / "absent.csv")


def test_unchanged_looks_at_size_and_time_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n")
    known = fingerprint_of(path)
    assert unchanged(path, known)
    os.utime(path, ns=(known.mtime_ns, known.mtime_ns + 1))
    assert not unchanged(path, known)
    path.unlink()
    assert not unchanged(path, known)


def test_rows_that_stand_before_appended_ones_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x\n1\n2\n")
    known = fingerprint_of(path)
    assert appended_rows(path, known, 2) == 2
    with path.open("a") as stream:
        stream.write("3\n")
    assert appended_rows(path, known, 2) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x\n1\n2\n", "x\n1\n3\n4\n"),  # changed in front
        ("x\n1\n2\n", "x\n1\n"),  # cut off
        ("x\n1\n2", "x\n1\n25\n"),  # its last row grew
    ],
)
def test_rows_are_not_known_where_more_than_appending_happened(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(before)
    known = fingerprint_of(path)
    path.write_text(after)
    assert appended_rows(path, known, 2) == 0


def test_a_grown_compressed_file_and_parquet_are_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"x\n1\n"))
    known = fingerprint_of(path)
    path.write_bytes(path.read_bytes() + gzip.compress(b"2\n"))
    assert appended_rows(path, known, 1) == 0
    parquet = write(tmp_path / "a.parquet", {"x": [1]})
    assert appended_rows(parquet, fingerprint_of(parquet), 1) == 0


def test_it_imports_no_reader_of_data() -> None:
    """The coordinating process must start at once and cannot be crashed by a file."""
    code = (
        "import sys; import mlpack_edge.batch.inputs.fingerprint; "
        "bad = {'pyarrow', 'polars', 'duckdb', 'numpy', 'fsspec'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
