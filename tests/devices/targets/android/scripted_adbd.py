"""An Android device for tests: adb's daemon spoken over TCP, its commands run in a folder of this machine.

The real `adb` client talks to it (`adb connect 127.0.0.1:PORT`). The protocol is that of AOSP's packages/modules/adb
(protocol.txt, docs/dev: CNXN, AUTH, OPEN, OKAY, WRTE, CLSE; the shell protocol's packets; sync's SEND and STAT). As adbd
does, the end of a connection hangs up the shells behind it (SIGHUP) and closes their pipes.

What a phone has and this machine has not lies in the folder: `bin` is first on PATH (getprop, dumpsys, settings), and
`/data/local/tmp`, `/proc/cpuinfo` and `/sys` are its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST = 65536
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
BANNER = b"device::ro.product.name=scripted;ro.product.model=Scripted;ro.product.device=scripted;"
FEATURES = b"features=shell_v2,cmd"
PROPERTIES = {
    "ro.product.manufacturer": "Example", "ro.product.model": "Phone 3", "ro.board.platform": "ex3000",
    "ro.build.version.release": "14", "ro.build.version.sdk": "34", "ro.product.cpu.abi": "x86_64",
    "ro.product.cpu.abilist": "x86_64,arm64-v8a", "ro.serialno": "EX0001",
}  # fmt: skip
THERMAL = """IsStatusOverride: false
Thermal Status: 1
Cached temperatures:
	Temperature{mValue=99.0, mType=0, mName=cpu0, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=41.5, mType=0, mName=cpu0, mStatus=1}
	Temperature{mValue=43.25, mType=0, mName=cpu1, mStatus=0}
	Temperature{mValue=31.0, mType=2, mName=battery, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=cpu}
"""
CPUINFO = """processor	: 0
BogoMIPS	: 38.40
Features	: fp asimd evtstrm aes asimdhp asimddp i8mm
CPU implementer	: 0x41
CPU part	: 0xd05

processor	: 1
Features	: fp asimd
CPU part	: 0xd0d

Hardware	: Example EX3000
"""


@dataclass
class Behaviour:
    """What goes wrong. refuse_login: never accept a key. silent: never answer. vanish_at: drop the connection once a
    command with this text has run for a moment. room: bytes that fit, None for all. old: as Android 6 and before: no
    exit codes, line ends of a terminal, and the end of the input is not passed on.
    """

    refuse_login: bool = False
    silent: bool = False
    vanish_at: str | None = None
    room: int | None = None
    old: bool = False
    properties: dict[str, str] = field(default_factory=dict)


class ScriptedDevice:
    """Listens until `close`. `temporary`: its /data/local/tmp."""

    def __init__(self, folder: Path, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.folder, self.temporary = folder, folder / "data/local/tmp"
        self.commands: list[str] = []
        self.temporary.mkdir(parents=True)
        self._furnish({**PROPERTIES, **self.behaviour.properties})
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._connections: list[socket.socket] = []
        self.threads = [threading.Thread(target=self._listen, daemon=True)]
        self.threads[0].start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self.threads):
            thread.join(10)

    def _furnish(self, properties: dict[str, str]) -> None:
        (self.folder / "bin").mkdir()
        cases = "".join(f"{name}) echo '{value}';;" for name, value in properties.items())
        scripts = {
            "getprop": f'case "$1" in {cases} *) echo;; esac',
            "dumpsys": f'case "$1" in thermalservice) cat {self.folder}/thermal;; battery) cat {self.folder}/battery;; esac',
            "settings": "echo 0",
        }
        for name, body in scripts.items():
            script = self.folder / "bin" / name
            script.write_text(f"#!/bin/sh\n{body}\n")
            script.chmod(0o755)
        files = {"proc/cpuinfo": CPUINFO, "thermal": THERMAL, "battery": "  USB powered: true\n  level: 87\n"}
        for core, clock in enumerate((1_804_800, 2_850_000)):
            below = f"sys/devices/system/cpu/cpu{core}/cpufreq"
            files |= {
                f"{below}/scaling_governor": "walt",
                f"{below}/scaling_cur_freq": str(clock),
                f"{below}/cpuinfo_max_freq": "2850000",
            }
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text + "\n")

    def local(self, text: str) -> str:
        """The device's paths in `text` as those of this machine; what is one already stays."""
        own = re.escape(str(self.folder))
        return re.sub(
            rf"(?<!{own})(/data/local/tmp|/proc/cpuinfo|/sys/)", lambda found: f"{self.folder}{found[1]}", text
        )

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=_Connection(self, connection).serve, daemon=True)
                self.threads.append(thread)
                thread.start()


class _Connection:
    def __init__(self, device: ScriptedDevice, connection: socket.socket) -> None:
        self.device, self._socket = device, connection
        self._lock = threading.Lock()
        self._streams: dict[int, _Stream] = {}
        self._next = 1

    def serve(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                self._answer(*self._read())
        for stream in list(self._streams.values()):
            stream.hang_up()
        self._socket.close()

    def _answer(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if command in (b"CNXN", b"AUTH") and self.device.behaviour.silent:
            return
        if command in (b"CNXN", b"AUTH") and self.device.behaviour.refuse_login:
            if (
                command == b"CNXN" or first == 2
            ):  # a signature that is not known here; its public key waits for a person
                self.send(b"AUTH", 1, 0, os.urandom(20))
        elif command == b"CNXN":
            self.send(b"CNXN", 0x01000001, MOST, BANNER + (b"" if self.device.behaviour.old else FEATURES) + b"\0")
        elif command == b"OPEN":
            own, self._next = self._next, self._next + 1
            service = data.rstrip(b"\0").decode()
            kind = _Sync if service.startswith("sync:") else _ShellStream if service.startswith("shell") else None
            if kind is None:
                self.send(b"CLSE", 0, first)
                return
            self._streams[own] = kind(self, own, first, service)
            self.send(b"OKAY", own, first)
            self._streams[own].begin()
        elif (stream := self._streams.get(second)) is not None:
            if command == b"WRTE":
                self.send(b"OKAY", second, first)
                stream.receive(data)
            elif command == b"OKAY":
                stream.ready.release()
            elif command == b"CLSE":
                del self._streams[second]
                stream.hang_up()

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        number = int.from_bytes(command, "little")
        head = struct.pack("<6I", number, first, second, len(data), sum(data) & 0xFFFFFFFF, number ^ 0xFFFFFFFF)
        with self._lock:
            self._socket.sendall(head + data)

    def drop(self) -> None:
        """The cable is pulled."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> tuple[bytes, int, int, bytes]:
        command, first, second, length, _, _ = struct.unpack("<4s5I", self._exactly(24))
        return command, first, second, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        held = b""
        while len(held) < count:
            block = self._socket.recv(count - len(held))
            if not block:
                raise EOFError
            held += block
        return held


class _Stream:
    def __init__(self, connection: _Connection, own: int, remote: int, service: str) -> None:
        self._connection, self._own, self._remote, self._service = connection, own, remote, service
        self.ready = threading.Semaphore(1)
        self._held = b""

    def begin(self) -> None: ...

    def receive(self, data: bytes) -> None: ...

    def hang_up(self) -> None: ...

    def write(self, data: bytes) -> None:
        """Waits until the other side has taken the block before."""
        for start in range(0, len(data), 4096):
            self.ready.acquire(timeout=20)
            self._connection.send(b"WRTE", self._own, self._remote, data[start : start + 4096])

    def finish(self) -> None:
        self.ready.acquire(timeout=20)
        self._connection.send(b"CLSE", self._own, self._remote)


class _ShellStream(_Stream):
    def begin(self) -> None:
        command = self._service.partition(":")[2]
        device = self._connection.device
        device.commands.append(command)
        path = f"{device.folder}/bin:{os.environ['PATH']}"
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", device.local(command)], cwd=device.folder, env={"PATH": path}, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._hung, self._old = False, device.behaviour.old
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()
        device.threads.append(self._thread)
        if device.behaviour.vanish_at and device.behaviour.vanish_at in command:
            threading.Timer(0.15, self._connection.drop).start()

    def _pass_on(self) -> None:
        """Until the process has ended, or the connection: then the pipes are closed, whoever still writes to them."""
        process = self._process
        assert process.stdout is not None and process.stdin is not None
        with process.stdout as output, contextlib.suppress(OSError), selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not self._hung:
                if selector.select(0.05):
                    block = os.read(output.fileno(), 2048)
                    if not block:
                        break
                    self.write(
                        block.replace(b"\n", b"\r\n") if self._old else struct.pack("<BI", _STDOUT, len(block)) + block
                    )
            if not self._hung:
                code = process.wait()
                if not self._old:
                    self.write(struct.pack("<BIB", _EXIT, 1, code if code >= 0 else 128 - code))
                self.finish()
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.wait()

    def receive(self, data: bytes) -> None:
        self._held += b"" if self._old else data
        while len(self._held) >= 5:
            kind, length = struct.unpack("<BI", self._held[:5])
            if len(self._held) < 5 + length:
                return
            block, self._held = self._held[5 : 5 + length], self._held[5 + length :]
            assert self._process.stdin is not None
            with contextlib.suppress(OSError, ValueError):
                if kind == _STDIN:
                    self._process.stdin.write(block)
                    self._process.stdin.flush()
                elif kind == _CLOSE_STDIN:
                    self._process.stdin.close()

    def hang_up(self) -> None:
        self._hung = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._process.pid, signal.SIGHUP)


class _Sync(_Stream):
    """Files to the device: SEND with DATA blocks and DONE; STAT before."""

    def begin(self) -> None:
        self._file: Path | None = None
        self._fault = b""
        self._taken = 0

    def receive(self, data: bytes) -> None:
        self._held += data
        for kind, length, block in self._requests():
            if kind == b"STAT":
                path = Path(self._connection.device.local(block.decode()))
                mode = path.stat().st_mode if path.exists() else 0
                self.write(b"STAT" + struct.pack("<3I", mode, 0, 0))
            elif kind == b"SEND":
                self._open(block.decode())
            elif kind == b"DATA":
                self._take(block)
            elif kind == b"DONE":
                self.write(
                    b"FAIL" + struct.pack("<I", len(self._fault)) + self._fault if self._fault else b"OKAY\0\0\0\0"
                )
            elif kind == b"QUIT":
                self.finish()
            else:
                raise AssertionError((kind, length))

    def _requests(self) -> Iterator[tuple[bytes, int, bytes]]:
        while len(self._held) >= 8:
            kind, length = struct.unpack("<4sI", self._held[:8])
            body = 0 if kind in (b"DONE", b"QUIT") else length  # DONE's number is a time
            if len(self._held) < 8 + body:
                return
            block, self._held = self._held[8 : 8 + body], self._held[8 + body :]
            yield kind, length, block

    def _open(self, wanted: str) -> None:
        path, _, mode = self._connection.device.local(wanted).rpartition(",")
        self._file = Path(path)
        try:
            self._file.write_bytes(b"")
            self._file.chmod(int(mode) & 0o777)
        except OSError as fault:
            self._fault = f"couldn't create file: {fault.strerror}".encode()

    def _take(self, block: bytes) -> None:
        room = self._connection.device.behaviour.room
        self._taken += len(block)
        if room is not None and self._taken > room:
            self._fault = b"write failed: No space left on device"
        if self._file and not self._fault:
            with self._file.open("ab") as stream:
                stream.write(block)
