"""What an Android device and the `adb` client say: rules over text and bytes, no process."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput, IoFault, MlpackError, Unsupported

Json = dict[str, Any]

GUIDE = "docs/how-to/bench-android.md"
#: Where adb's shell user may write and run programs.
TEMPORARY = "/data/local/tmp"
#: What the keeper says once its folder is there.
FOLDER = "mlpack-folder"

#: Holds a folder as long as its input is open. The end of the input, of the connection or of the shell kills what runs
#: there and removes it: also where the computer that asked for it is gone. `read`, not `cat`: the shell's own commands
#: give way to a signal at once.
KEEPER = (
    f"umask 077; folder=$(mktemp -d {TEMPORARY}/mlpack-XXXXXXXX) || exit 1; "
    'clean() { trap \'\' HUP INT TERM PIPE; [ -f "$folder/pid" ] && kill -9 $(cat "$folder/pid"); rm -rf "$folder"; }; '
    "trap 'clean 2>/dev/null; exit 0' HUP INT TERM PIPE; "
    f'echo "{FOLDER} $folder"; while read line; do :; done; clean 2>/dev/null'
)

_PROPERTIES = (
    "ro.product.manufacturer", "ro.product.model", "ro.board.platform", "ro.soc.manufacturer", "ro.soc.model",
    "ro.build.version.release", "ro.build.version.sdk", "ro.build.fingerprint", "ro.product.cpu.abi", "ro.product.cpu.abilist",
    "ro.kernel.qemu", "ro.boot.qemu", "ro.serialno",
)  # fmt: skip
_SECTION = "mlpack-section"
_SECTIONS = {
    "kernel": "uname -m; uname -r",
    "cpuinfo": "cat /proc/cpuinfo",
    "load": "cat /proc/loadavg",
    "governors": "cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    "clocks": "cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq",
    "most_clocks": "cat /sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq",
    "thermal": "dumpsys thermalservice",
    "zones": 'for zone in /sys/class/thermal/thermal_zone*; do echo "$(cat $zone/type) $(cat $zone/temp)"; done',
    "battery": "dumpsys battery",
    "saver": "settings get global low_power",
    "room": f"df -k {TEMPORARY}",
}
#: One script that reads all of it; what a device lacks or forbids gives an empty section.
READ_ENVIRONMENT = "; ".join(
    [f'echo "{_SECTION} {name}"; getprop {name} 2>/dev/null' for name in _PROPERTIES]
    + [f'echo "{_SECTION} {name}"; {command} 2>/dev/null' for name, command in _SECTIONS.items()]
    + ["true"]
)
_FEATURES = frozenset(
    (
        "neon",
        "vfpv4",
        "asimd",
        "asimddp",
        "asimdhp",
        "fphp",
        "i8mm",
        "bf16",
        "sve",
        "sve2",
        "avx",
        "avx2",
        "fma",
        "sse4_2",
    )
)
#: android.os.PowerManager.THERMAL_STATUS_*.
_THROTTLING = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
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


def environment_from_text(text: str, serial: str) -> Json:
    """What a latency depends on, from the output of READ_ENVIRONMENT; None where the device does not tell.

    temperature_c: the warmest sensor that is said to be of the CPU. thermal_status: what Android makes of it; throttled:
    the same where it is worse than "none". `load` and
    `steal` as the agent of other targets has them; Android tells no steal.
    """
    parts = _sections(text)
    cpu = _cpuinfo(parts["cpuinfo"])
    machine, _, kernel = parts["kernel"].partition("\n")
    chip = " ".join(parts[name] for name in ("ro.soc.manufacturer", "ro.soc.model") if parts[name])
    device = " ".join(parts[name] for name in ("ro.product.manufacturer", "ro.product.model") if parts[name])
    load = re.match(r"([\d.]+) ([\d.]+) ([\d.]+)", parts["load"])
    status = _thermal_status(parts["thermal"])
    emulator = "1" in (parts["ro.kernel.qemu"], parts["ro.boot.qemu"])
    identity = f"mlpack android {parts['ro.serialno'] or serial} {device}"
    return {
        "cpu": ", ".join(word for word in (device, chip or parts["ro.board.platform"]) if word) or cpu["name"],
        "arch": machine.strip() or None,
        "cores": cpu["cores"],
        "features": cpu["features"],
        "device": device or None,
        "board": parts["ro.board.platform"] or None,
        "android": parts["ro.build.version.release"] or None,
        "android_sdk": int(parts["ro.build.version.sdk"]) if parts["ro.build.version.sdk"].isdigit() else None,
        "build": parts["ro.build.fingerprint"] or None,
        "abis": parts["ro.product.cpu.abilist"] or parts["ro.product.cpu.abi"],
        "governor": ", ".join(dict.fromkeys(parts["governors"].split())) or None,
        "frequency_mhz": max(_megahertz(parts["clocks"]), default=None),
        "most_frequency_mhz": _megahertz(parts["most_clocks"]) or None,
        "temperature_c": _temperature(parts["thermal"], parts["zones"]),
        "thermal_status": status,
        "throttled": None if status == "none" else status,
        "battery": _battery(parts["battery"]),
        "power_saver": {"1": True, "0": False}.get(parts["saver"]),
        "free_bytes": _free_bytes(parts["room"]),
        "load": [float(number) for number in load.groups()] if load else None,
        "steal": None,
        "kernel": f"Linux {kernel.strip()}" if kernel.strip() else None,
        "python": None,
        "emulated": "android-emulator" if emulator else None,
        "machine_id": hashlib.sha256(identity.encode()).hexdigest()[:16],
    }


def _sections(text: str) -> dict[str, str]:
    found = dict.fromkeys((*_PROPERTIES, *_SECTIONS), "")
    for part in text.replace("\r", "").split(_SECTION + " ")[1:]:
        name, _, body = part.partition("\n")
        found[name.strip()] = body.strip()
    return found


def _cpuinfo(text: str) -> Json:
    pairs = [
        (name.strip().lower(), value.strip())
        for name, colon, value in (line.partition(":") for line in text.splitlines())
        if colon
    ]
    first = dict(reversed(pairs))
    flags = (first.get("features") or first.get("flags") or "").split()
    part = f"implementer {first.get('cpu implementer', '?')} part {first['cpu part']}" if "cpu part" in first else ""
    return {
        "name": first.get("model name") or first.get("hardware") or part or None,
        "cores": sum(name == "processor" for name, _ in pairs) or None,
        "features": sorted(_FEATURES & set(flags)),
    }


def _megahertz(text: str) -> list[float]:
    """Of each core; the files have kHz."""
    return [int(word) / 1000 for word in text.split() if word.isdigit()]


def _temperature(service: str, zones: str) -> float | None:
    """Of the CPU's sensors (mType 0, android.hardware.thermal TemperatureType.CPU), else of zones named after it."""
    _, now, body = service.rpartition("Current temperatures from HAL:")
    body = body.split("Current cooling devices")[0] if now else service
    found = [float(value) for value in re.findall(r"Temperature\{mValue=(-?[\d.]+), mType=0,", body)]
    if not found:
        named = re.findall(r"(?mi)^(\S*(?:cpu|soc|tsens)\S*) (-?\d+)$", zones)
        found = [int(value) / 1000 if abs(int(value)) > 1000 else float(value) for _, value in named]
    return max((value for value in found if 0 < value < 150), default=None)


def _thermal_status(service: str) -> str | None:
    status = re.search(r"Thermal Status: (\d+)", service)
    if status is None:
        return None
    number = int(status[1])
    return _THROTTLING[number] if number < len(_THROTTLING) else status[1]


def _battery(text: str) -> Json | None:
    """{level: percent, powered: by what}."""
    level = re.search(r"(?m)^\s*level: (\d+)", text)
    powered = re.findall(r"(?m)^\s*(AC|USB|Wireless|Dock) powered: true", text)
    return {"level": int(level[1]), "powered": powered} if level else None


def _free_bytes(text: str) -> int | None:
    """From POSIX's or toybox's `df -k`: the fourth column of the last line."""
    words = text.splitlines()[-1].split() if text else []
    return int(words[3]) * 1024 if len(words) > 3 and words[3].isdigit() else None
