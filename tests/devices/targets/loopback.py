"""A real sshd on a port of the loopback interface, with keys and files of its own, and the `ssh` that reaches it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SSH = shutil.which("ssh")
#: Why tests of it are skipped, empty where they are not.
MISSING = ", ".join(
    name
    for name, found in (("sshd (Debian: openssh-server)", SSHD), ("ssh (Debian: openssh-client)", SSH))
    if not found
)
USER = pwd.getpwuid(os.getuid()).pw_name


@dataclass
class Loopback:
    """folder: of the test. tmp: what TMPDIR is on the far side. The alias `board` of the near side's ssh leads there."""

    folder: Path
    port: int = 0
    server: Sequence[str] = ()
    client: Sequence[str] = ()
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def tmp(self) -> Path:
        return self.folder / "far"

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def start(self, *server: str, client: Sequence[str] = ()) -> None:
        """server: more lines of sshd's configuration; client: of the alias `board`'s."""
        (self.folder / "bin").mkdir(exist_ok=True)
        self.tmp.mkdir(exist_ok=True)
        for name in ("host", "user"):
            if not (self.folder / name).exists():
                key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
                subprocess.run(key, check=True)
        self.port, self.client = free_port(), client
        host_key = (self.folder / "host.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        lines = (
            *server, f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder}/host", "UsePAM no",
            f"AuthorizedKeysFile {self.folder}/user.pub", "PidFile none", "StrictModes no", "PermitRootLogin yes",
            "PasswordAuthentication no", "KbdInteractiveAuthentication no", f"SetEnv TMPDIR={self.tmp}", "PrintMotd no",
        )  # fmt: skip
        (self.folder / "sshd_config").write_text("".join(f"{line}\n" for line in lines))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd, as root, gives up its rights
        with (self.folder / "sshd.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [str(SSHD), "-D", "-e", "-f", str(self.folder / "sshd_config")],
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                )
            )
        self.configure(*client)
        wait_until(lambda: answers(self.port), 10, "sshd did not start: " + self.log)

    def configure(self, *client: str, more: str = "") -> None:
        """Write the near side's configuration, and the `ssh` that reads it and no other."""
        (self.folder / "ssh_config").write_text(
            "".join(f"{line}\n" for line in (
                "Host board", "  HostName 127.0.0.1", f"  Port {self.port}", *(f"  {line}" for line in client),
                "Host *", f"  User {USER}", f"  IdentityFile {self.folder}/user", "  IdentitiesOnly yes",
                f"  UserKnownHostsFile {self.folder}/known_hosts", "  GlobalKnownHostsFile /dev/null",
            )) + more
        )  # fmt: skip
        wrapper = self.folder / "bin" / "ssh"
        wrapper.write_text(f'#!/bin/sh\nexec {SSH} -F {self.folder}/ssh_config "$@"\n')
        wrapper.chmod(0o755)

    @property
    def path(self) -> str:
        """PATH with that `ssh` first."""
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    def left(self) -> list[str]:
        """What there is on the far side of us: files in its temporary folder and processes that were started there."""
        # os.walk passes over what goes while it looks.
        files = [str(Path(folder, name)) for folder, folders, names in os.walk(self.tmp) for name in (*folders, *names)]
        return [*files, *(f"process {pid}" for pid in self.running())]

    def running(self) -> list[int]:
        """Processes that the connection started; their environment tells them."""
        mark = f"TMPDIR={self.tmp}".encode()
        return [pid for pid, environment, _ in processes() if any(one.startswith(mark) for one in environment)]

    def sessions(self) -> list[int]:
        """sshd's own processes for open connections."""
        parents = {process.pid for process in self.processes}
        found: set[int] = set()
        table = [(pid, parent) for pid, environment, parent in processes() if pid not in self.running()]
        for _ in range(4):
            found |= {pid for pid, parent in table if parent in parents | found}
        return sorted(found)

    def must_be_clean(self, seconds: float = 5.0) -> None:
        wait_until(lambda: not self.left(), seconds, lambda: f"left behind: {self.left()}")

    def stop(self) -> None:
        for pid in self.sessions():
            with contextlib.suppress(OSError):
                os.kill(pid, 18)  # SIGCONT, where a test had stopped it
        for process in self.processes:
            process.terminate()
            process.wait()


def processes() -> Iterator[tuple[int, list[bytes], int]]:
    """(pid, environment, parent) of all that this user may look at."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                status = (folder / "stat").read_text().rpartition(")")[2].split()
                if status[0] != "Z":
                    yield int(folder.name), (folder / "environ").read_bytes().split(b"\0"), int(status[1])


def wait_until(done: object, seconds: float, message: object) -> None:
    until = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        if time.monotonic() > until:
            raise AssertionError(message() if callable(message) else message)
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def script(path: Path, text: str) -> Path:
    """An executable."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


PYTHON = sys.executable
