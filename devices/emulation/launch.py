"""Start a guest's Python: `launcher(profile)` gives what stands before its arguments."""

from __future__ import annotations

from pathlib import Path

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.guest import Launcher, guest_command
from mlpack_edge.devices.emulation.plugin import counting_plugin, plugin_option
from mlpack_edge.devices.emulation.qemu import find_qemu
from mlpack_edge.devices.emulation.root import counting_folder, root_folder, status


def launcher(profile: Profile, counting: Path | None = None) -> Launcher:
    """The command that runs Python as `profile`; `-u agent.py` is appended to it, and the like.

    counting: the file to which the counts of each region are appended (counts.py reads it); the guest marks a region with
    `os.close(-7001)` and `os.close(-7002)`, each of which raises an OSError to be passed over.
    Raises MissingExtra without QEMU or, for counting, without a C compiler; BadInput where the profile is not set up, is
    damaged, or has other versions than are installed here; Unsupported where this profile or QEMU cannot count.
    """
    qemu = find_qemu(profile)
    now = status(profile, digests=False)
    if now.state == "unavailable":
        raise Unsupported(now.why, now.hint)
    if now.state != "ready":
        raise BadInput(now.why, now.hint)
    root = root_folder(profile)
    if counting is None:
        return guest_command(qemu, profile, root)
    plugin = counting_plugin(profile, qemu, root or counting_folder(), counting_folder())
    return guest_command(qemu, profile, root, plugin_option(plugin, counting))
