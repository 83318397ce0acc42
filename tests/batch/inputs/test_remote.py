"""Inputs behind URLs: a real web server on this machine, and fsspec's file system in memory."""

from __future__ import annotations

import http.server
import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlpack_edge.batch.inputs.remote import name_of
from mlpack_edge.core.errors import BadInput, MissingExtra
from tests.batch.inputs.found import find, rows

# fsspec leaves the client session to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


class _Server(http.server.ThreadingHTTPServer):
    """files: content and ETag by path."""

    files: dict[str, tuple[bytes, str]]
    asked: list[str]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def _answer(self, *, body: bool) -> None:
        content, tag = self.server.files.get(self.path.partition("?")[0], (None, ""))
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        short = tag == "short"
        self.send_header("Content-Length", str(len(content) + 100 * short))
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def web() -> Iterator[tuple[str, _Server]]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.files, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def _parquet(values: list[int]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": values}), sink)
    return sink.getvalue()


def test_files_of_the_web_are_fetched_and_read(tmp_path: Path, web: tuple[str, _Server]) -> None:
    address, server = web
    server.files = {"/month=7/a.parquet": (_parquet([1, 2]), "v1"), "/month=8/b.csv": (b"x\n3\n", "")}
    found = find(tmp_path / "staging", f"{address}/month=7/a.parquet", f"{address}/month=8/b.csv?token=secret")
    assert [file.name for file in found.files] == [f"{address}/month=7/a.parquet", f"{address}/month=8/b.csv"]
    assert all(file.staged and file.fingerprint.whole for file in found.files)
    assert rows(found) == {"x": [1, 2, 3], "month": [7, 7, 8]}


def test_a_file_is_fetched_again_only_where_it_changed_or_nothing_says_so(
    tmp_path: Path, web: tuple[str, _Server]
) -> None:
    address, server = web
    server.files = {"/a.parquet": (_parquet([1]), "v1")}
    url = f"{address}/a.parquet"

    def gets() -> int:
        server.asked.clear()
        find(tmp_path / "staging", url)
        return len(server.asked)

    first = find(tmp_path / "staging", url)
    assert gets() == 0
    assert find(tmp_path / "staging", url) == first
    server.files["/a.parquet"] = (_parquet([2]), "v2")
    assert rows(find(tmp_path / "staging", url)) == {"x": [2]}
    server.files["/a.parquet"] = (_parquet([3]), "")
    assert rows(find(tmp_path / "staging", url)) == {"x": [3]}
    server.files["/a.parquet"] = (_parquet([4]), "")  # of the same size, and without a tag
    assert rows(find(tmp_path / "staging", url)) == {"x": [4]}


def test_what_cannot_be_had_is_refused_by_address(tmp_path: Path, web: tuple[str, _Server]) -> None:
    address, server = web
    server.files = {"/cut.csv": (b"x\n1\n", "short")}
    for path in ("absent.csv", "cut.csv"):
        with pytest.raises(BadInput, match="could not be fetched") as caught:
            find(tmp_path / "staging", f"{address}/{path}")
        assert f"{address}/{path}" in caught.value.message and caught.value.why
    with pytest.raises(BadInput, match="could not be fetched"):
        find(tmp_path / "staging", "http://127.0.0.1:9/a.csv")
    assert not list((tmp_path / "staging").iterdir())


def test_globs_and_directories_of_other_protocols(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    for name, content in (("b.csv", b"x\n2\n"), ("a.csv", b"x\n1\n"), ("_SUCCESS", b""), ("_mlpack/m.csv", b"x\n9\n")):
        memory.pipe(f"/bucket/t/{name}", content)
    expected = ["memory:///bucket/t/a.csv", "memory:///bucket/t/b.csv"]
    for url in ("memory://bucket/t/*.csv", "memory://bucket/t"):
        found = find(tmp_path / "staging", url)
        assert [file.name for file in found.files] == expected and rows(found) == {"x": [1, 2]}
    with pytest.raises(BadInput, match=r"no file matches the input memory://bucket/t/\*\.parquet"):
        find(tmp_path / "staging", "memory://bucket/t/*.parquet")


def test_remote_and_local_inputs_go_together(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/a.csv", b"x\n1\n")
    (tmp_path / "b.csv").write_text("x\n0.5\n")
    found = find(tmp_path / "staging", "memory://a.csv", tmp_path / "b.csv", wanted={"x": "number"})
    assert found.schema == pa.schema([("x", pa.float64())]) and rows(found) == {"x": [1, 0.5]}


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra) as caught:
        find(tmp_path / "staging", "s3://bucket/a.csv")
    assert caught.value.hint == "pip install s3fs"
    with pytest.raises(BadInput, match="could not be fetched") as unknown:
        find(tmp_path / "staging", "nosuch://bucket/a.csv")
    assert "Protocol not known" in unknown.value.why
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(MissingExtra) as caught:
        find(tmp_path / "staging", "https://127.0.0.1/a.csv")
    assert caught.value.hint == "pip install 'mlpack-edge[remote]'"
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtra) as caught:
        find(tmp_path / "staging", "memory://a.csv")
    assert caught.value.hint == "pip install 'mlpack-edge[remote]'"


def test_no_password_and_no_signature_travels_with_the_rows() -> None:
    assert name_of("https://user:secret@host/a.csv.gz?X-Signature=secret") == "https://host/a.csv.gz"
    assert name_of("https://host/export?id=7") == "https://host/export?id=7"
    assert name_of("memory:///a.csv") == "memory:///a.csv"
