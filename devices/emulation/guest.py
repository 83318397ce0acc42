"""The command and environment under which a guest's Python runs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.qemu import Qemu


@dataclass(frozen=True, slots=True)
class Launcher:
    """command: what stands before Python's own arguments. environment: the whole of the process's environment.

    A guest cannot start its own `sys.executable` (it is no program of this machine); a guest that wants a child starts
    `command` again, with `environment`. Python's options -I and -E must not be given: they drop PYTHONHOME.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def guest_command(
    qemu: Qemu, profile: Profile, root: Path | None, plugin: str = "", *, write_bytecode: bool = False
) -> Launcher:
    """root: the folder of the profile's arch, as root.py lays it out; None runs this machine's own Python.

    The environment is fixed, so that the same program runs the same instructions: hash seeds move a LiteRT call's count by
    4e-5, onnxruntime's telemetry an ONNX call's by 3e-3 whenever it sends.
    """
    command = [qemu.path, "-cpu", profile.cpu, "-seed", "1"]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    # onnxruntime 1.29 and newer tells its maker of each process and, every few seconds, of calls: another thread, other
    # counts, and nobody asked for it.
    environment |= {"ORT_DISABLE_TELEMETRY": "1"}
    environment |= {"PYTHONNOUSERSITE": "1"} | ({} if write_bytecode else {"PYTHONDONTWRITEBYTECODE": "1"})
    if "TMPDIR" in os.environ:
        environment["TMPDIR"] = os.environ["TMPDIR"]
    if plugin:
        command += ["-plugin", plugin]
    if root is None:
        return Launcher([*command, sys.executable], environment)
    home = root / "root" / "usr"
    environment |= {"PYTHONHOME": str(home), "PYTHONPATH": f"{root / 'site'}:{home / 'lib/python3/dist-packages'}"}
    interpreter = next(path for path in sorted((home / "bin").glob("python3.*")) if path.name[8:].isdigit())
    return Launcher([*command, "-L", str(root / "boards" / profile.name), str(interpreter)], environment)
