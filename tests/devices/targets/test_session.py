"""Whatever an agent says, and wherever it falls silent or dies: an answer or one MlpackError, soon, and nothing stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput, IoFault, MlpackError, WorkerFault
from mlpack_edge.devices.targets.agent.frames import Frames
from mlpack_edge.devices.targets.session import AgentSession, bootstrap
from tests.devices.targets.loopback import processes, wait_until

#: Writes what a file holds in pieces of given sizes, then ends, or reads its input until that ends.
_PLAYER = """
import os, sys
text, sizes, stay = open(sys.argv[1], "rb").read(), eval(sys.argv[2]), sys.argv[3] == "stay"
while text:
    size = sizes.pop(0) if sizes else len(text)
    try:
        text = text[os.write(1, text[:size]):]
    except BrokenPipeError:
        break
while stay and os.read(0, 65536):
    pass
"""
#: Passes on so many bytes of what a command says, and ends.
_CUTTER = """
import os, subprocess, sys
left, agent = int(sys.argv[1]), subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, bufsize=0)
while left and (block := agent.stdout.read(left)):
    left -= os.write(1, block)
os._exit(0)
"""


def ended(code: int | None, printed: str) -> MlpackError:
    return WorkerFault(f"ended with code {code}", "hint", why=printed)


def played(folder: Path, text: bytes, sizes: tuple[int, ...] = (), stay: bool = False) -> AgentSession:
    (folder / "text").write_bytes(text)
    words = [str(folder / "text"), str(list(sizes)), "stay" if stay else "end"]
    return AgentSession([sys.executable, "-ISc", _PLAYER, *words], ended)


def real(*wrapped: str, environment: dict[str, str] | None = None) -> AgentSession:
    python = [sys.executable, "-P"]
    text, opening = bootstrap(python)
    return AgentSession([*wrapped, *python, "-c", text], ended, opening, environment)


_SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_RECORDS = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name != "bytes"), st.integers() | st.text(), max_size=3
)


@settings(_SLOW, max_examples=40)
@given(frames=st.lists(st.tuples(_RECORDS, st.binary(max_size=300)), max_size=5), cuts=st.lists(st.integers(1, 50)))
def test_the_agent_reads_frames_however_they_are_cut(
    frames: list[tuple[dict[str, Any], bytes]], cuts: list[int]
) -> None:
    lines = [json.dumps({**record, "bytes": len(block)}).encode() + b"\n" + block for record, block in frames]
    reading, writing = os.pipe()

    def write(text: bytes) -> None:
        for size in cuts:
            os.write(writing, text[:size])
            text = text[size:]
        os.write(writing, text)
        os.close(writing)

    thread = threading.Thread(target=write, args=[b"".join(lines)])
    thread.start()
    try:
        agent = Frames(reading, -1)
        for record, block in frames:
            assert agent.read() == ({**record, "bytes": len(block)}, block)
        assert agent.read() is None
    finally:
        thread.join()
        os.close(reading)


@settings(_SLOW, max_examples=20)
@given(
    stages=st.lists(st.text()), answer=_RECORDS, block=st.binary(max_size=100_000), sizes=st.lists(st.integers(1, 5000))
)
def test_an_answer_is_read_however_it_is_cut(
    tmp_path: Path, stages: list[str], answer: dict[str, Any], block: bytes, sizes: list[int]
) -> None:
    lines = [json.dumps({"stage": stage}) for stage in stages] + [json.dumps({"ok": answer, "bytes": len(block)})]
    session = played(tmp_path, "\n".join(lines).encode() + b"\n" + block, tuple(sizes[:20]))
    told: list[str] = []
    session._stage = told.append
    assert session.ask("hello", within=20) == (answer, block)
    assert told == stages
    session.close()


def judged(session: AgentSession, within: float, limit: float) -> MlpackError:
    start = time.monotonic()
    with pytest.raises(MlpackError) as caught:
        for _ in range(100):
            session.ask("hello", within=within)
    session.close()
    assert time.monotonic() - start < limit
    assert session._process.poll() is not None
    return caught.value


@settings(_SLOW, max_examples=25)
@given(text=st.binary(max_size=3000) | st.binary(max_size=20).map(lambda one: one + b"\n" + one))
def test_garbage_is_one_error(tmp_path: Path, text: bytes) -> None:
    assert isinstance(judged(played(tmp_path, text), 20, 60), WorkerFault)


@pytest.mark.parametrize("stay", [True, False])
@pytest.mark.parametrize(
    "text",
    [b"{}", b"[]", b"3", b'"x"', b"null", b'{"ok": 3}', b'{"ok": null}', b'{"error": "x"}', b'{"error": {"kind": 3}}',
     b'{"error": {"kind": []}}', b'{"error": {"message": {}}}', b'{"stage": 3}', b'{"ok": {}, "bytes": -1}',
     b'{"ok": {}, "bytes": "x"}', b'{"ok": {}, "bytes": 1e999}', b'{"ok": {}, "bytes": []}', b"[" * 50_000,
     b'{"ok": {}, "bytes": 1' + b"0" * 30 + b"}", b'{"ok": {}, "bytes": 9000000000}', b"9" * 5000, b"\xff\xfe", b"x" * 1_000_000],
)  # fmt: skip
def test_frames_of_no_known_form_are_one_error(tmp_path: Path, text: bytes, stay: bool) -> None:
    found = judged(played(tmp_path, text + b"\n", stay=stay), 10, 60)
    assert isinstance(found, MlpackError) and len(str(found)) < 500


def test_silence_is_one_error_and_so_is_whatever_is_asked_next(tmp_path: Path) -> None:
    session = played(tmp_path, b"", stay=True)
    with pytest.raises(WorkerFault, match=r"no answer within 0\.3 s") as caught:
        session.ask("hello", within=0.3)
    with pytest.raises(WorkerFault) as again:
        session.ask("hello", within=0.3)
    assert again.value is caught.value
    session.close()
    with pytest.raises(WorkerFault):
        session.ask("hello")


def test_an_agent_that_takes_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload larger than any pipe to a process that reads nothing, and one that talks meanwhile."""
    monkeypatch.setattr("mlpack_edge.devices.targets.session._STALL_S", 0.5)
    for command in (["sleep", "60"], ["sh", "-c", "yes & sleep 60"]):
        session = AgentSession(command, ended)
        start = time.monotonic()
        with pytest.raises(WorkerFault, match="has taken nothing"):
            session.ask("put", bytes(10_000_000))
        session.close()
        assert time.monotonic() - start < 40  # not the 60 s that the command sleeps


def test_a_command_that_ends_while_it_is_sent_something_is_judged_by_its_end(tmp_path: Path) -> None:
    session = AgentSession(["sh", "-c", "echo reason >&2; exit 7"], ended)
    with pytest.raises(WorkerFault, match="ended with code 7") as caught:
        session.ask("put", bytes(10_000_000))
    assert caught.value.why == "reason"
    session.close()


def test_a_command_that_is_not_there_is_one_error() -> None:
    with pytest.raises(IoFault, match=r"/no/such could not be started"):
        AgentSession(["/no/such"], ended)


def test_both_sides_may_talk_at_once(tmp_path: Path) -> None:
    """More than a pipe holds in either direction: neither waits for the other."""
    block = bytes(500_000)
    text = json.dumps({"ok": {}, "bytes": len(block)}).encode() + b"\n" + block
    session = played(tmp_path, text, stay=True)
    assert session.ask("put", bytes(5_000_000), within=20) == ({}, block)
    session.close()


@settings(_SLOW, max_examples=15)
@given(count=st.integers(0, 4500))
def test_a_real_agent_whose_words_are_cut_off_is_one_error(tmp_path: Path, count: int) -> None:
    """After any number of bytes; it notices, and its folder goes."""
    session = real(sys.executable, "-ISc", _CUTTER, str(count), environment={"TMPDIR": str(tmp_path)})
    judged(session, 60, 60)
    wait_until(lambda: not list(tmp_path.iterdir()), 5, lambda: f"left: {list(tmp_path.iterdir())}")
    mark = f"TMPDIR={tmp_path}".encode()
    wait_until(lambda: not [pid for pid, words, _ in processes() if mark in words], 5, "processes stay")


@settings(_SLOW, max_examples=10)
@given(text=st.binary(max_size=200) | st.just(b'{"do": "nothing"}\n') | st.just(b'{"do": "put", "bytes": 100}\nshort'))
def test_a_real_agent_that_is_sent_garbage_ends_and_cleans_up(tmp_path: Path, text: bytes) -> None:
    first, opening = bootstrap()
    done = subprocess.run(
        [sys.executable, "-c", first], input=opening + text, capture_output=True, timeout=20, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == b"" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [0, 1, 300, 5000])
def test_an_agent_that_never_gets_all_of_itself_ends(tmp_path: Path, cut: int) -> None:
    first, opening = bootstrap()
    done = subprocess.run(
        [sys.executable, "-c", first], input=opening[:cut], capture_output=True, timeout=20, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == b"" and not list(tmp_path.iterdir())


def test_files_are_put_only_into_the_folder_and_only_whole(tmp_path: Path) -> None:
    session = real(environment={"TMPDIR": str(tmp_path)})
    for name in ("../outside", "/outside", "a/../../outside"):
        with pytest.raises(BadInput, match="outside the agent's folder"):
            session.ask("put", b"12345", name=name, sha256="0")
    with pytest.raises(IoFault, match="damaged"):
        session.ask("put", b"12345", name="a/b", sha256="0")
    assert session.ask("hello")[0]["python"]  # the conversation goes on
    assert not (tmp_path / "outside").exists()
    session.close()
    assert not list(tmp_path.iterdir())


def test_a_library_in_the_current_folder_is_not_taken_for_pythons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('taken')")
    monkeypatch.chdir(tmp_path)
    first, opening = bootstrap([sys.executable])
    session = AgentSession([sys.executable, "-c", first], ended, opening)
    assert session.ask("hello", within=20)[0]["python"]
    session.close()
