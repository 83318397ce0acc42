"""What a job calls when it ended, with real programs and a real server."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mlpack_edge.batch.hooks import is_webhook, run_hook
from mlpack_edge.batch.job_file import Hook
from mlpack_edge.core.errors import MlpackError

DOCUMENT = {"command": "score", "ok": True, "rows_out": 5}
VARIABLES = {"MLPACK_STATUS": "done", "MLPACK_OUTPUT": "scores"}


def call(hook: Hook, said: Path | None = None, time_limit: float = 20.0, variables: dict[str, str] = VARIABLES) -> None:
    with (said or Path(os.devnull)).open("wb") as stream:
        run_hook("on_success", hook, DOCUMENT, variables, time_limit, stream)


def test_no_hook_is_nothing() -> None:
    call("")


def test_a_string_is_a_line_of_shell_with_the_result_in_its_variables_and_input(tmp_path: Path) -> None:
    call(f'cat > {tmp_path}/document && echo "$MLPACK_STATUS: $MLPACK_OUTPUT" | tr a-z A-Z', tmp_path / "said")
    assert (tmp_path / "said").read_text() == "DONE: SCORES\n"
    assert json.loads((tmp_path / "document").read_text()) == DOCUMENT


def test_a_list_is_a_program_whose_words_no_shell_reads(tmp_path: Path) -> None:
    call(("printf", "%s", "$MLPACK_STATUS; two  blanks"), tmp_path / "said")
    assert (tmp_path / "said").read_text() == "$MLPACK_STATUS; two  blanks"


def test_a_hook_that_does_not_read_its_input_is_no_fault() -> None:
    run_hook("on_success", "true", {"text": "x" * 1_000_000}, {}, 20.0, -3)


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("exit 7", "exit code 7"),
        ("kill -9 $$", "killed by signal 9"),
        (("/nonexistent/program",), "could not be started"),
        (("/etc/passwd",), "could not be started"),
    ],
)
def test_a_hook_that_fails_is_named(hook: Hook, said: str) -> None:
    with pytest.raises(MlpackError, match=said) as failed:
        call(hook)
    assert "on_success" in failed.value.message


def test_a_hook_that_hangs_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    before = time.monotonic()
    with pytest.raises(MlpackError, match=r"did not end within 0\.5 s"):
        call(f"(sleep 2; touch {tmp_path}/late) & sleep 60", time_limit=0.5)
    assert time.monotonic() - before < 10
    time.sleep(2.5)
    assert not (tmp_path / "late").exists()


def test_a_message_of_any_length_and_content_reaches_the_hook(tmp_path: Path) -> None:
    call('printf %s "$MLPACK_ERROR" | wc -c', tmp_path / "said", variables={"MLPACK_ERROR": "a\0" + "x" * 1_000_000})
    assert (tmp_path / "said").read_text().strip() == "8192"


class Server(HTTPServer):
    """Answers by path: /200, /302, /500, /slow; keeps what was POSTed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, str | None, bytes]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], body))
        if self.path == "/slow":
            for _ in range(40):  # byte by byte: no wait is long, all of them are
                self.wfile.write(b"H")
                time.sleep(0.1)
        self.send_response(int(self.path[1:]) if self.path != "/slow" else 200)
        self.send_header("Location", "/200")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.got.append((self.path, "GET", b""))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """A test prints nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def test_a_webhook_gets_the_result_as_json(server: Server) -> None:
    assert is_webhook(server.url("/200")) and not is_webhook(("curl", server.url("/200")))
    call(server.url("/200"))
    (path, kind, body), *more = server.got
    assert (path, kind, json.loads(body), more) == ("/200", "application/json", DOCUMENT, [])


def test_a_webhook_that_says_no_is_named_without_the_secret_in_its_path(server: Server) -> None:
    with pytest.raises(MlpackError) as failed:
        call(server.url("/500?token=s3cret"))
    told = failed.value.message + failed.value.why + failed.value.hint
    assert "on_success" in told and "127.0.0.1" in told and "s3cret" not in told


def test_a_redirect_is_not_followed_as_a_get(server: Server) -> None:
    with pytest.raises(MlpackError) as failed:
        call(server.url("/302"))
    assert "redirect" in failed.value.why and [path for path, *_ in server.got] == ["/302"]


def test_a_server_that_answers_byte_by_byte_does_not_hold_the_run(server: Server) -> None:
    before = time.monotonic()
    with pytest.raises(MlpackError) as failed:
        call(server.url("/slow"), time_limit=0.5)
    assert "no answer within 0.5 s" in failed.value.why and time.monotonic() - before < 3


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/x", "http://nowhere.invalid/x", "http://127.0.0.1:99999/x", "http:///x", "https://[::1/x"],
)
def test_a_webhook_that_is_not_there_is_a_failure(url: str) -> None:
    with pytest.raises(MlpackError, match=r"on_success"):
        call(url)


def test_an_address_with_a_blank_is_refused_without_showing_it(server: Server) -> None:
    with pytest.raises(MlpackError) as failed:
        call(server.url("/s3cret token"))
    assert "blank" in failed.value.why and "s3cret" not in failed.value.message + failed.value.why
