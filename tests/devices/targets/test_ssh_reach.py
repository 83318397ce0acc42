"""What goes wrong on the way to another machine: one error that says what, why and what next."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess

import pytest

from mlpack_edge.core.errors import (
    IoFault,
    MissingExtra,
    Untrusted,
    WorkerFault,
)
from tests.devices.targets.loopback import Loopback, free_port
from tests.devices.targets.ssh_board import board, refusal


def test_ssh_is_not_installed(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(loopback.folder))
    assert "openssh-client" in refusal(board(), MissingExtra).hint


def test_no_host_of_this_name(loopback: Loopback) -> None:
    loopback.start()
    found = refusal(board(address="//no-such-host.invalid"), IoFault)
    assert "there is no host of this name" in found.message and "no-such-host.invalid" in found.why


def test_nothing_listens(loopback: Loopback) -> None:
    loopback.start()
    found = refusal(board(address=f"//127.0.0.1:{free_port()}"), IoFault)
    assert "refuses connections" in found.message and "Connection refused" in found.why


def test_something_listens_and_says_nothing(loopback: Loopback) -> None:
    loopback.start()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        found = refusal(board(time_limit=4, address=f"//127.0.0.1:{silent.getsockname()[1]}"), IoFault, 8)
    assert "does not answer" in found.message


def test_something_listens_that_is_no_ssh(loopback: Loopback) -> None:
    loopback.start()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        if os.fork() == 0:
            with contextlib.suppress(OSError):
                connection, _ = other.accept()
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 50)
            os._exit(0)
        found = refusal(board(address=f"//127.0.0.1:{other.getsockname()[1]}"), WorkerFault)
        os.wait()
    assert "before it began" in found.message


def test_an_unknown_host_key_is_refused_and_how_to_add_it_said(loopback: Loopback) -> None:
    loopback.start()
    (loopback.folder / "known_hosts").write_text("")
    found = refusal(board(), Untrusted)
    assert "host key" in found.message and "not known" in found.message and "nothing was sent" in found.message
    assert "ssh board once by hand" in found.hint and "fingerprint" in found.hint
    line = found.hint.partition("trust: ")[2]
    assert line.startswith(f"ssh-keyscan -p {loopback.port} 127.0.0.1 >> ")
    subprocess.run(line, shell=True, check=True, capture_output=True)  # the line does what it says
    target = board()
    assert target.describe()["python"]
    target.close()


def test_a_changed_host_key_is_refused_loudly(loopback: Loopback) -> None:
    loopback.start()
    known, user = loopback.folder / "known_hosts", (loopback.folder / "user.pub").read_text()
    known.write_text(f"[127.0.0.1]:{loopback.port} {user}")
    found = refusal(board(), Untrusted)
    assert "HAS CHANGED" in found.message and f"Offending ED25519 key in {known}:1" in found.why
    line = found.hint.partition("anew: ")[2].partition(", then")[0]
    subprocess.run(line, shell=True, check=True, capture_output=True)
    assert f"[127.0.0.1]:{loopback.port} " not in known.read_text()


def test_a_key_that_the_host_does_not_know(loopback: Loopback) -> None:
    loopback.start("Banner /etc/os-release")
    (loopback.folder / "user.pub").write_text("")
    found = refusal(board(), IoFault)
    assert "does not let this user in" in found.message and "ssh-copy-id board" in found.hint
    assert found.why.endswith(": Permission denied (publickey).")


def test_a_configuration_that_ssh_refuses(loopback: Loopback) -> None:
    loopback.start()
    loopback.configure("NoSuchOption yes")
    found = refusal(board(), IoFault)
    assert "its own configuration" in found.message and "option" in found.why


def test_a_jump_host_that_is_not_there(loopback: Loopback) -> None:
    loopback.start()
    loopback.configure("ProxyJump jump", more=f"\nHost jump\n  HostName 127.0.0.1\n  Port {free_port()}\n")
    found = refusal(board(), IoFault)
    assert "Connection refused" in found.why
