"""What a latency on Android depends on: one script that reads it, and its output's meaning. No process."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from mlpack_edge.devices.targets.android import TEMPORARY

Json = dict[str, Any]

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
    load = re.match(r"(\d+\.\d+) (\d+\.\d+) (\d+\.\d+)", parts["load"])
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
        "android_sdk": int(parts["ro.build.version.sdk"]) if parts["ro.build.version.sdk"].isdecimal() else None,
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
    return [int(word) / 1000 for word in text.split() if word.isdecimal()]


def _temperature(service: str, zones: str) -> float | None:
    """Of the CPU's sensors (mType 0, android.hardware.thermal TemperatureType.CPU), else of zones named after it."""
    _, now, body = service.rpartition("Current temperatures from HAL:")
    body = body.split("Current cooling devices")[0] if now else service
    found = [float(value) for value in re.findall(r"Temperature\{mValue=(-?\d+(?:\.\d+)?), mType=0,", body)]
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
    return int(words[3]) * 1024 if len(words) > 3 and words[3].isdecimal() else None
