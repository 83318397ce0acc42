"""What the `adb` client says of devices, and the tool for one: rules over text and bytes, no process."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mlpack_edge.core.errors import BadInput, IoFault, MlpackError, Unsupported

GUIDE = "docs/how-to/bench-android.md"
#: Where adb's shell user may write and run programs.
TEMPORARY = "/data/local/tmp"
#: What the keeper says once its folder is there.
FOLDER = "mlpack-folder"
#: It comes back into lines for a shell, some of which people are told to type on their own machine.
FOLDER_NAME = re.compile(r"/[\w./-]*/mlpack-\w+", re.ASCII)

#: Holds a folder as long as its input is open. The end of the input, of the connection or of the shell kills what runs
#: there and removes it: also where the computer that asked for it is gone. `read`, not `cat`: the shell's own commands
#: give way to a signal at once.
KEEPER = (
    f"umask 077; folder=$(mktemp -d {TEMPORARY}/mlpack-XXXXXXXX) || exit 1; "
    'clean() { trap \'\' HUP INT TERM PIPE; [ -f "$folder/pid" ] && kill -9 $(cat "$folder/pid"); rm -rf "$folder"; }; '
    "trap 'clean 2>/dev/null; exit 0' HUP INT TERM PIPE; "
    f'echo "{FOLDER} $folder"; while read line; do :; done; clean 2>/dev/null'
)

#: ELF's e_machine (generic ABI, and the processors' supplements) by Android's names of its ABIs.
_MACHINES = {40: ("armeabi-v7a", "armeabi"), 183: ("arm64-v8a",), 3: ("x86",), 62: ("x86_64",), 243: ("riscv64",)}
_ADVICE = {
    "unauthorized": "unlock the device and allow this computer in the dialog it shows, then start it again",
    "authorizing": "unlock the device and allow this computer in the dialog it shows, then start it again",
    "offline": "plug it in again, or: adb reconnect offline",
    "bootloader": "start Android on it: fastboot reboot",
    "recovery": "start Android on it: adb reboot",
    "sideload": "start Android on it: adb reboot",
    "rescue": "start Android on it: adb reboot",
    "connecting": "wait until it has started, then start it again",
}
_GONE = (
    "not found",
    "device offline",
    "error: closed",
    "connection reset",
    "protocol fault",
    "no devices",
    "broken pipe",
    "eof",
)


def devices_from_list(text: str) -> dict[str, str]:
    """{serial: state} from `adb devices`."""
    _, _, lines = text.partition("List of devices attached")
    found = (line.split(None, 1) for line in lines.splitlines() if line.strip() and not line.startswith("*"))
    return {words[0]: words[1].strip() if len(words) > 1 else "" for words in found}


def check_serial(text: str) -> str:
    """A serial that can be given to `adb -s`; raises BadInput, and contacts nothing."""
    if text.startswith(("-", "/")) or not text.isprintable():
        raise BadInput(
            f"{'adb:' + text!r} names no Android device", "name one as adb devices shows it: --target adb:SERIAL"
        )
    return text


def chosen_serial(wanted: str, devices: dict[str, str]) -> str:
    """The device to talk to: the wanted one, or with none named the only one. Raises IoFault or BadInput."""
    if not devices:
        raise IoFault(
            f"no Android device is attached{f', {wanted} neither' if wanted else ''}",
            "plug it in with USB debugging on (or: adb connect HOST:PORT); adb devices shows what is there",
        )
    if not wanted and len(devices) > 1:
        raise BadInput(
            f"{len(devices)} Android devices are attached and none was named",
            "name one: " + " or ".join(f"--target adb:{serial}" for serial in devices),
        )
    serial = wanted or next(iter(devices))
    if serial not in devices:
        raise IoFault(
            f"no Android device {serial} is attached",
            "name one that is: " + " or ".join(f"--target adb:{other}" for other in devices),
        )
    state = devices[serial]
    if state == "device":
        return serial
    if state.startswith("no permissions"):
        raise IoFault(
            f"the operating system does not let you use the Android device {serial}",
            "add the udev rule for it, as https://developer.android.com/studio/run/device tells (Debian: "
            "apt install android-sdk-platform-tools-common), then plug it in again", why=state,
        )  # fmt: skip
    raise IoFault(
        f"the Android device {serial} is {state or 'in no known state'}",
        _ADVICE.get(state, "adb devices shows its state; it has to say 'device'"),
    )


def adb_fault(serial: str, doing: str, code: int, printed: str) -> MlpackError:
    """Why an `adb` command failed or was cut off (with code 0), from what it printed."""
    lines = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("*")]
    why = next(
        (line for line in lines if "error" in line.lower() or "failed" in line.lower()), lines[-1] if lines else ""
    )
    said = printed.lower()
    if "no space left" in said:
        return IoFault(
            f"the Android device {serial} has no room left while {doing}",
            f"make room below {TEMPORARY}: adb -s {serial} shell df {TEMPORARY}", why=why,
        )  # fmt: skip
    if "unauthorized" in said:
        return IoFault(f"the Android device {serial} is unauthorized", _ADVICE["unauthorized"], why=why)
    if "daemon" in said and ("cannot connect" in said or "failed to" in said):
        return IoFault("adb's server does not start", "adb start-server says why", why=why)
    if code == 0 or not lines or any(word in said for word in _GONE):  # adb shell: 0 where a connection is lost
        return IoFault(
            f"the Android device {serial} went away while {doing}",
            "look at the cable and the device, then start it again; what was copied there goes when the connection does",
            why=why,
        )
    return IoFault(
        f"adb failed while {doing} (exit code {code})", f"adb -s {serial} shell shows whether it answers", why=why
    )


def check_tool(path: Path, abis: str) -> tuple[str, int]:
    """(sha256, bytes) of the user's benchmark_model. `abis`: what the device runs, as ro.product.cpu.abilist lists it.

    Raises BadInput where the file is absent or no program, Unsupported where it is one for other processors. A script
    (a line "#!" first) is taken as it is.
    """
    try:
        block = path.read_bytes()
    except OSError as fault:
        raise BadInput(
            f"--benchmark-model {path} cannot be read", f"where to get one: {GUIDE}", why=fault.strerror or str(fault)
        ) from fault
    if not block.startswith((b"\x7fELF", b"#!")):
        raise BadInput(f"--benchmark-model {path} is no program for Android", f"where to get one: {GUIDE}")
    if block.startswith(b"\x7fELF"):
        machine = int.from_bytes(block[18:20], "big" if block[5:6] == b"\x02" else "little")
        own = _MACHINES.get(machine, (f"processor number {machine}",))
        known = [abi for abi in abis.split(",") if abi]
        if known and not set(own) & set(known):
            raise Unsupported(
                f"--benchmark-model {path} is built for {own[0]}, and the device runs {', '.join(known)}",
                f"take the build for {known[0]}: {GUIDE}",
            )
    return hashlib.sha256(block).hexdigest(), len(block)
