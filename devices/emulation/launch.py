"""Start a guest's Python: `launcher(profile)` gives what stands before its arguments."""

from __future__ import annotations

from mlpack_edge.core.errors import BadInput
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.guest import Launcher, guest_command
from mlpack_edge.devices.emulation.qemu import find_qemu
from mlpack_edge.devices.emulation.root import root_folder, status


def launcher(profile: Profile) -> Launcher:
    """The command that runs Python as `profile`; `-u agent.py` is appended to it, and the like.

    Raises MissingExtra without QEMU; BadInput where the profile is not set up, is damaged, or has other versions than
    are installed here.
    """
    qemu = find_qemu(profile)
    now = status(profile, digests=False)
    if now.state != "ready":
        raise BadInput(now.why, now.hint)
    return guest_command(qemu, profile, root_folder(profile))
