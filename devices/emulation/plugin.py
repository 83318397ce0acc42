"""Compile the plugin that counts a guest's instructions, try it, and keep it in the data folder."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from pathlib import Path

from mlpack_edge.core.errors import IoFault, MissingExtra, Unsupported
from mlpack_edge.core.files import io_fault
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.commands import run
from mlpack_edge.devices.emulation.counts import read_regions
from mlpack_edge.devices.emulation.guest import guest_command
from mlpack_edge.devices.emulation.qemu import Qemu

_SOURCES = ("guest_counts.c", "a64_classes.h", "qemu_plugin_api.h")
#: QEMU 9.0 removed what the plugin is written for: adding to plain memory (version 2 of the plugin interface).
_TOO_NEW = (9, 0)
_TRIAL = "import os, contextlib\nfor mark in (-7001, -7002):\n    with contextlib.suppress(OSError): os.close(mark)"


def why_no_counts(profile: Profile, qemu: Qemu) -> tuple[str, str]:
    """(why, what to do) where instructions cannot be counted, without trying; ("", "") where they may be."""
    newer = f"{qemu.path} is version {qemu.version}"
    release = tuple(int(part) for part in qemu.version.split(".")[:2])
    if profile.no_counts:
        return f"instructions of emulated:{profile.name} are not counted: {profile.no_counts}", "count those of pi4"
    if qemu.static:
        return f"{qemu.path} is linked statically and takes no plugins", "sudo apt-get install qemu-user"
    if release >= _TOO_NEW:
        return f"{newer}, whose plugins differ from those of QEMU 8 and older", "use the qemu-user of Debian 12 (7.2)"
    if _compiler() is None:
        return "counting instructions needs a C compiler, and there is no cc here", "sudo apt-get install gcc libc6-dev"
    return "", ""


def counting_plugin(profile: Profile, qemu: Qemu, root: Path, folder: Path) -> Path:
    """The plugin's file in `folder`, compiled and tried on a guest where it is not there yet.

    root: a root of the profile's arch. The name holds the digest of the sources and QEMU's version, so that neither an
    older plugin nor one that was tried with another QEMU is taken. Raises Unsupported where this QEMU cannot count,
    MissingExtra without a compiler, IoFault.
    """
    why, hint = why_no_counts(profile, qemu)
    if why:
        raise MissingExtra(why, hint, module="cc", extra=None) if _compiler() is None else Unsupported(why, hint)
    here = Path(__file__).parent
    digest = hashlib.sha256(b"\0".join((here / name).read_bytes() for name in _SOURCES)).hexdigest()[:16]
    plugin = folder / f"guest-counts-{digest}-qemu-{qemu.version}.so"
    if plugin.is_file():
        return plugin
    draft = folder / f".{plugin.name}.{secrets.token_hex(4)}.part"
    counts = draft.with_suffix(".counts")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _compile(here / _SOURCES[0], draft)
        _try(profile, qemu, root, draft, counts)
        draft.replace(plugin)
    except OSError as fault:
        raise io_fault(fault, f"{plugin} could not be written") from fault
    finally:
        draft.unlink(missing_ok=True)
        counts.unlink(missing_ok=True)
    return plugin


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def _compile(source: Path, into: Path) -> None:
    options = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-pthread", "-o", str(into)]
    done = run([_compiler() or "cc", *options, str(source)], seconds=120)
    if done.code:
        hint = done.mend("sudo apt-get install gcc libc6-dev")
        raise IoFault("the plugin that counts instructions could not be compiled", hint, why=done.last_words)


def _try(profile: Profile, qemu: Qemu, root: Path, plugin: Path, counts: Path) -> None:
    """One region must be counted."""
    launcher = guest_command(qemu, profile, root, plugin_option(plugin, counts))
    done = run([*launcher.command, "-S", "-c", _TRIAL], environment=launcher.environment, seconds=120)
    if done.code or not counts.exists():
        raise Unsupported(
            f"{qemu.path} ({qemu.version}) does not count instructions",
            "use the qemu-user of Debian 12, which is built with plugins", why=done.last_words,
        )  # fmt: skip
    read_regions(counts)


def plugin_option(plugin: Path, counts: Path) -> str:
    """What QEMU's `-plugin` gets; commas part its arguments, and doubled they are themselves. counts: made absolute."""
    return ",".join(str(part).replace(",", ",,") for part in (plugin, f"out={counts.absolute()}"))
