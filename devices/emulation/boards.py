"""The machines that are emulated, as data: processor, features, packages, and what of them can be counted.

Sources of the figures: Arm's technical reference manuals (Cortex-A53, -A72, -A76, -A7: MIDR part, variant, revision) and
what the boards' own /proc/cpuinfo shows; `-cpu` names are QEMU's.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlpack_edge.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Cpu:
    """What an ARM Linux kernel prints of one core in /proc/cpuinfo."""

    part: str
    variant: str
    revision: int
    architecture: int
    features: str
    cores: int = 4

    def text(self) -> str:
        """The file's text: one paragraph a core."""
        return "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: {self.architecture}\nCPU variant\t: {self.variant}\nCPU part\t: {self.part}\n"
            f"CPU revision\t: {self.revision}\n\n"
            for core in range(self.cores)
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """A machine that programs here can be run as.

    arch: the machine as `mlpack check --arch` names it; profiles of one arch share one root.
    qemu: the last part of the emulator's name (`qemu-<qemu>`); cpu: what its `-cpu` takes.
    board: None where this machine's own Python is run (x86-64).
    debian: Debian's name of the architecture, "" where nothing is fetched. machine: the last part of wheels' tags.
    packages: Debian packages beside Python. wheels: distribution -> version; None is the version installed here.
    python: the guest's Python where only one will do. no_counts: why instructions cannot be counted, "" where they can.
    """

    name: str
    describes: str
    arch: str
    qemu: str
    cpu: str
    board: Cpu | None = None
    debian: str = ""
    machine: str = ""
    packages: tuple[str, ...] = ()
    wheels: tuple[tuple[str, str | None], ...] = ()
    python: str = ""
    no_counts: str = ""


_A64_WHEELS: tuple[tuple[str, str | None], ...] = (("numpy", None), ("onnxruntime", None), ("ai-edge-litert", None))


def _a64(name: str, describes: str, cpu: str, board: Cpu) -> Profile:
    return Profile(name, describes, "aarch64", "aarch64", cpu, board, "arm64", "aarch64", wheels=_A64_WHEELS)


_V8_FEATURES = "fp asimd evtstrm crc32 cpuid"
_ALL = (
    _a64("pi3", "Raspberry Pi 3, Cortex-A53", "cortex-a53", Cpu("0xd03", "0x0", 4, 8, _V8_FEATURES)),
    _a64("pi4", "Raspberry Pi 4, Cortex-A72", "cortex-a72", Cpu("0xd08", "0x0", 3, 8, _V8_FEATURES)),
    _a64(
        "pi5", "Raspberry Pi 5, Cortex-A76", "cortex-a76",
        Cpu(
            "0xd0b", "0x4", 1, 8,
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        ),
    ),
    Profile(
        "armv7", "32-bit ARM, Cortex-A7", "armv7", "arm", "cortex-a7",
        Cpu("0xc07", "0x0", 5, 7, "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"),
        "armhf", "armv7l",
        packages=("python3-numpy",), wheels=(("tflite-runtime", "2.14.0"),), python="3.11",
        no_counts="a word of four bytes may be an A32 or a T32 instruction, and QEMU does not tell its plugins which",
    ),
    Profile(
        "x86-64-avx2", "x86-64 with AVX2 and without VNNI (Haswell)", "x86-64", "x86_64",
        # The parts of a Haswell that QEMU does not emulate are left out by name: it would print a warning for each.
        "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm",
        no_counts="x86 instructions have no fixed words from which their class could be read",
    ),
)  # fmt: skip
PROFILES = {profile.name: profile for profile in _ALL}
#: What `mlpack check --arch` takes -> the profile that stands for it.
ARCHITECTURES = {"aarch64": "pi4", "armv7": "armv7", "x86-64-avx2": "x86-64-avx2"}


def profile_named(name: str) -> Profile:
    """The profile; `aarch64` is pi4. Raises BadInput with the names there are."""
    found = PROFILES.get(ARCHITECTURES.get(name, name))
    if found is None:
        raise BadInput(f"there is no emulated machine {name!r}", f"choose one of {', '.join(PROFILES)}")
    return found


def boards_of(arch: str) -> tuple[Profile, ...]:
    """The profiles that share the root of `arch`."""
    return tuple(profile for profile in _ALL if profile.arch == arch and profile.board)
