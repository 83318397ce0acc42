"""What a target is: what a latency depends on, as far as it can be read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from typing import Dict, List, Optional

from mlpack_edge.devices.targets.agent.frames import Json

_FEATURES = (
    "avx", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_tile", "f16c", "fma", "sse4_2", "neon",
    "vfpv4", "asimd", "asimddp", "asimdhp", "fphp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


def emulation() -> Optional[str]:
    """The user-mode or whole-machine emulator this process runs under, None on a real processor.

    User-mode qemu shows the guest a /proc of its own, but not below /proc/self/task: the name of the thread and the
    program that is really mapped there are the emulator's.
    """
    task = "/proc/self/task/%d" % os.getpid()
    seen = _text(task + "/comm") + " " + _text("/proc/self/comm")
    with contextlib.suppress(OSError):
        seen += " " + os.readlink(task + "/exe")
    for name in ("qemu", "box64", "FEXInterpreter", "rosetta", "valgrind"):
        if name.lower() in seen.lower():
            return "qemu-user" if name == "qemu" else name
    kernel = _text("/proc/sys/kernel/arch")
    families = {"x86_64": ("x86_64", "i686", "i386"), "aarch64": ("aarch64", "armv8l", "armv7l", "armv6l")}
    if kernel in families and platform.machine() not in families[kernel]:
        return "emulator"
    return "qemu-tcg" if "TCG" in _cpu() else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip("\n\0 ")
    except OSError:
        return ""


def _cpuinfo() -> Dict[str, str]:
    found: Dict[str, str] = {}
    for line in _text("/proc/cpuinfo").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _cpu() -> str:
    found = _cpuinfo()
    part = "implementer %s part %s" % (found.get("cpu implementer", "?"), found.get("cpu part", "?"))
    arm = part if "cpu part" in found else ""
    names = [_text("/proc/device-tree/model"), found.get("model name", ""), arm]
    return ", ".join(dict.fromkeys(name for name in names if name)) or platform.processor() or platform.machine()


def environment() -> Json:
    """What a latency depends on, as far as it can be read; null where it cannot."""
    found = _cpuinfo()
    flags = (found.get("flags") or found.get("features") or "").split()
    zones = [_text("/sys/class/thermal/thermal_zone%d/temp" % zone) for zone in range(16)]
    heat = [int(zone) / 1000 for zone in zones if zone.lstrip("-").isdigit()]
    clock = _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
    mhz = float(clock) / 1000 if clock.isdigit() else float(found.get("cpu mhz") or 0)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu(),
        "arch": platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": memory,
        "features": [name for name in _FEATURES if name in flags],
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or None,
        "frequency_mhz": mhz or None,
        "temperature_c": max(heat) if heat else None,
        "throttled": _throttled(),
        "load": [round(number, 2) for number in os.getloadavg()],
        "steal": _steal(),
        "kernel": platform.system() + " " + platform.release(),
        "python": platform.python_version(),
        "emulated": emulation(),
        "machine_id": hashlib.sha256(("mlpack " + (_text("/etc/machine-id") or platform.node())).encode()).hexdigest()[
            :16
        ],
    }


def _throttled() -> Optional[str]:
    """0x and what a Raspberry Pi's firmware says (bit 0 under-voltage, 1 capped, 2 throttled, 3 soft limit; 16 to 19 the
    same since boot); else how often the cores of an x86 were throttled since boot.
    """
    said = _text("/sys/devices/platform/soc/soc:firmware/get_throttled")
    if said:
        return "0x" + said
    counts = [_text("/sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count" % cpu) for cpu in range(256)]
    numbers = [int(count) for count in counts if count.isdigit()]
    return str(sum(numbers)) if numbers else None


def _steal() -> Optional[List[int]]:
    """[stolen, all] ticks of all processors since boot (proc(5)): what another guest had of them."""
    fields = _text("/proc/stat").partition("\n")[0].split()[1:]
    return [int(fields[7]), sum(map(int, fields[:8]))] if len(fields) >= 8 else None


def runtimes() -> Dict[str, Optional[str]]:
    from importlib.metadata import PackageNotFoundError, version

    found: Dict[str, Optional[str]] = {}
    for name in ("numpy", "onnxruntime", "ai-edge-litert", "tflite-runtime"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
