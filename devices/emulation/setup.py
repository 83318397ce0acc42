"""Set a profile up: say what it takes, fetch it, build the root beside its name, try it, rename it into place."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from mlpack_edge.core.errors import Interrupted, IoFault, Json, Unsupported
from mlpack_edge.core.files import io_fault
from mlpack_edge.devices.emulation import debian, wheels
from mlpack_edge.devices.emulation.boards import Profile, boards_of
from mlpack_edge.devices.emulation.commands import run
from mlpack_edge.devices.emulation.debian import Apt
from mlpack_edge.devices.emulation.guest import guest_command
from mlpack_edge.devices.emulation.manifest import write_manifest
from mlpack_edge.devices.emulation.packages import fetch, select
from mlpack_edge.devices.emulation.plugin import counting_plugin
from mlpack_edge.devices.emulation.qemu import Qemu, find_qemu
from mlpack_edge.devices.emulation.root import Status, counting_folder, data_folder, status
from mlpack_edge.runtimes.litert.library import TINY_MODEL

Stage = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a setup would fetch. packages: records of name, version, bytes (None: nobody says), sha256, url, origin.

    bytes: their sum; unknown: the names without a size. status: what is there already.
    """

    profile: str
    folder: Path | None
    python: str
    packages: list[Json]
    bytes: int
    unknown: list[str]
    status: Status

    def to_json(self) -> Json:
        return {
            "profile": self.profile, "folder": str(self.folder) if self.folder else None, "python": self.python,
            "packages": self.packages, "bytes": self.bytes, "unknown": self.unknown, "status": self.status.to_json(),
        }  # fmt: skip


def plan(profile: Profile, stage: Stage) -> Plan:
    """Find out what `setup` would fetch. Debian's index and pip's are read, no package is.

    Raises Unsupported, MissingExtra, IoFault, Interrupted: whatever would keep the setup from working.
    """
    find_qemu(profile)
    now = status(profile)
    if now.folder is None:
        if now.state != "ready":
            raise Unsupported(now.why, now.hint)
        return Plan(profile.name, None, platform.python_version(), [], 0, [], now)
    with _locked(profile, stage) as lock, _clear_faults(now.folder):
        stage(f"reading Debian's {profile.debian} package index")
        chosen = select(profile, _apt(profile, lock), (lock,))
    total = sum(package.bytes or 0 for package in chosen.packages)
    unknown = [package.name for package in chosen.packages if package.bytes is None]
    return Plan(profile.name, now.folder, chosen.python, chosen.to_json(), total, unknown, now)


def setup(profile: Profile, stage: Stage, force: bool = False) -> Status:
    """Make the profile ready; nothing to do where it is, unless `force`. The root is built beside its final name.

    It is renamed into place when a guest's Python ran a model in every runtime on every board of the arch. On failure or
    Ctrl-C nothing is left, and what was there before stays. Two setups of one arch at once: the second waits. Where
    instructions cannot be counted (`no_counts` says why), outputs still can be had, and the setup is complete.
    Raises Unsupported, MissingExtra, IoFault, Interrupted.
    """
    qemu = find_qemu(profile)
    now = status(profile)
    if now.state == "unavailable":
        raise Unsupported(now.why, now.hint)
    root = now.folder
    if root is None:
        with _clear_faults(data_folder()):
            stage(f"running a model as emulated:{profile.name}")
            _try(qemu, profile, None, data_folder())
        return now
    with _locked(profile, stage) as lock:
        now = status(profile)
        if now.state != "ready" or force:
            _build(qemu, profile, root, stage, lock)
        if not now.no_counts:
            stage("compiling the plugin that counts instructions")
            with _clear_faults(root):
                counting_plugin(profile, qemu, root, counting_folder())
    return status(profile)


def _build(qemu: Qemu, profile: Profile, root: Path, stage: Stage, lock: int) -> None:
    _remove_leftovers(root)  # of a setup that was killed: the lock says that it runs no more
    draft = root.with_name(f".{root.name}.{secrets.token_hex(4)}.part")
    try:
        with _clear_faults(root):
            draft.mkdir(parents=True)
            apt = _apt(profile, lock)
            stage(f"reading Debian's {profile.debian} package index")
            chosen = select(profile, apt, (lock,))
            megabytes = sum(package.bytes or 0 for package in chosen.packages) / 1e6
            stage(f"downloading {len(chosen.packages)} packages, {megabytes:.0f} MB")
            debs, files = fetch(profile, chosen, apt, draft / "fetched")
            stage("unpacking")
            debian.unpack(debs, draft / "root", (lock,))
            wheels.unpack(files, draft / "site")
            shutil.rmtree(draft / "fetched")
            tried = {}
            for board in boards_of(profile.arch):
                _lay_out(draft, board)
                stage(f"running a model as emulated:{board.name}")
                tried[board.name] = _try(find_qemu(board), board, draft, draft)
            facts: Json = {
                "arch": profile.arch, "made": datetime.now(UTC).isoformat(timespec="seconds"),
                "mlpack": version("mlpack-edge"), "python": chosen.python, "glibc": chosen.glibc,
                "qemu": qemu.to_json(), "wheels": {package.name: package.version for package in chosen.wheels},
                "packages": chosen.to_json(), "tried": tried,
            }  # fmt: skip
            write_manifest(draft, facts)
            _put_in_place(draft, root)
    finally:
        _remove_leftovers(root)


def _put_in_place(draft: Path, root: Path) -> None:
    """Where the second rename does not come about, the root that was there comes back."""
    old = draft.with_suffix(".old")
    if root.exists():
        root.rename(old)
    try:
        draft.rename(root)
    except BaseException:
        if old.exists() and not root.exists():
            old.rename(root)
        raise


def _lay_out(root: Path, board: Profile) -> None:
    """What this board's guests see before this machine's own files: its /proc/cpuinfo, and the shared root's folders."""
    assert board.board is not None
    folder = root / "boards" / board.name
    (folder / "proc").mkdir(parents=True)
    (folder / "proc/cpuinfo").write_text(board.board.text(), encoding="ascii")
    for name in ("lib", "usr"):
        (folder / name).symlink_to(f"../../root/{name}")


def _try(qemu: Qemu, profile: Profile, root: Path | None, scratch: Path) -> Json:
    """Run a tiny model in every runtime under emulation: {"python", "machine", "part", "versions"}. Raises IoFault."""
    scratch.mkdir(parents=True, exist_ok=True)
    folder = scratch / f".tiny.{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        names = [name for name, _ in profile.wheels] or ["onnxruntime", "ai-edge-litert"]
        if "onnxruntime" in names:
            (folder / "tiny.onnx").write_bytes(_tiny_onnx())
        (folder / "tiny.tflite").write_bytes(TINY_MODEL)
        launcher = guest_command(qemu, profile, root, write_bytecode=root is not None)
        script = Path(__file__).with_name("trial.py")
        done = run([*launcher.command, str(script), str(folder)], environment=launcher.environment, seconds=600)
    finally:
        shutil.rmtree(folder)
    if done.code:
        raise IoFault(
            f"a model does not run as emulated:{profile.name}",
            "try a newer qemu-user; mlpack doctor shows whether the packages here go together", why=done.last_words,
        )  # fmt: skip
    record: Json = json.loads(done.out.splitlines()[-1])
    if profile.board and record["part"] != [profile.board.part]:
        why = f"its /proc/cpuinfo names the part {record['part']}, where {profile.cpu} is {profile.board.part}"
        raise IoFault(f"emulated:{profile.name} does not see its own processor", "try another qemu-user", why=why)
    return record


def _tiny_onnx() -> bytes:
    """y = x + x for two float32 numbers."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "tiny", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def _apt(profile: Profile, lock: int) -> Apt:
    return Apt(profile.debian, data_folder() / "emulated" / "apt" / profile.debian, (lock,))


def _remove_leftovers(root: Path) -> None:
    for path in [*root.parent.glob(f".{root.name}.*.part"), *root.parent.glob(f".{root.name}.*.old")]:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _locked(profile: Profile, stage: Stage) -> Iterator[int]:
    """One setup of an arch at a time. Gives the lock's descriptor: children inherit it, and hold it while they live."""
    path = data_folder() / "emulated" / f".{profile.arch}.lock"
    with _clear_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            told = False
            while not _taken(handle):
                if not told:
                    stage(f"waiting for another setup of {profile.arch}")
                    told = True
                time.sleep(0.2)
            yield handle
        finally:
            os.close(handle)


def _taken(handle: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextmanager
def _clear_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted", "nothing was left; start it again when you like") from stop
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be set up") from fault
