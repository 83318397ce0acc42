"""Which results may be compared at all, and what to know of those that may."""

from __future__ import annotations

import re
from typing import Any

from mlpack_edge.runtimes.measuring.result import BenchResult

_MACHINE = {"cpu": "CPU", "arch": "architecture"}
_OPTIONS = ("threads", "batch")
_CONDITIONS = {"governor": "frequency governor", "kernel": "kernel", "python": "Python"}


def why_other_quantity(a: BenchResult, b: BenchResult) -> str | None:
    """Why a time cannot stand beside a count of instructions or cycles; None where both are the same."""
    kinds = [one.counted[0] if one.counted else "time" for one in (a, b)]
    return None if kinds[0] == kinds[1] else f"of {a.model} there is {kinds[0]}, of {b.model} {kinds[1]}"


def why_not_comparable(a: BenchResult, b: BenchResult) -> str | None:
    """In one sentence what differs that no comparison survives: machine, target, threads, batch. None where nothing does.

    A machine is known by its `machine_id`; two results that name none may be of any two machines. Counts under emulation
    do not depend on the machine that emulates: there the emulated profile is what has to be the same.
    """
    other = why_other_quantity(a, b)
    if other:
        return other
    found = [_differ("target", *(_target(one) for one in (a, b)))]
    found += [_differ(label, a.environment.get(key), b.environment.get(key)) for key, label in _MACHINE.items()]
    found.append(_differ("emulation", *(one.environment.get("emulated") or "none" for one in (a, b))))
    if a.counted is None:
        found.append(_machine(a.environment.get("machine_id"), b.environment.get("machine_id")))
    found += [_differ(name, getattr(a, name), getattr(b, name)) for name in _OPTIONS]
    return "; ".join(one for one in found if one) or None


def notes(a: BenchResult, b: BenchResult) -> tuple[str, ...]:
    """What differs and does not forbid the comparison, and what makes either result weak; a sentence each."""
    found = [_differ(label, a.environment.get(key), b.environment.get(key)) for key, label in _CONDITIONS.items()]
    if a.format == b.format:
        found.append(_differ("runtime", _runtime(a), _runtime(b)))
        found.append(_differ("io", a.io, b.io))
        found.append(_differ("inputs differ: digest", a.input_digest[:12], b.input_digest[:12]))
    if None not in (a.spinning, b.spinning):
        found.append(_differ("spinning", a.spinning, b.spinning))
    for one in (a, b):
        found += _weaknesses(one)
    return tuple(dict.fromkeys(each for each in found if each))


def _weaknesses(one: BenchResult) -> list[str]:
    found = []
    if one.verdict == "unstable":
        share = one.clean_share
        said = "no sample" if share is None else f"{share:.0%} clean samples in {len(one.launches)} launches"
        found.append(f"{one.model} is unstable: {said}")
    unsettled = sum(not launch.settled for launch in one.launches)
    if unsettled:
        found.append(f"{one.model} had not settled after warming up in {unsettled} of {len(one.launches)} launches")
    if _throttled(one.environment.get("throttled")):
        found.append(f"{one.model} ran while the machine was throttled")
    return found


def _throttled(said: Any) -> bool:
    """Whether it was so while it measured. What targets say: bits of a Raspberry Pi's firmware (0x50000), of which the low
    four are now and the others since boot; how often since boot (12); a word of Android's; `... became ...` where it changed.
    """
    text = str(said or "")
    if re.fullmatch(r"0x[0-9a-f]+", text):
        return bool(int(text, 16) & 0xF)
    return bool(text) and not text.isdecimal()


def _target(one: BenchResult) -> str:
    """The kind; under emulation with the profile, which is the machine there."""
    return one.target.partition(":")[0] if one.counted is None else one.target


def _runtime(one: BenchResult) -> str | None:
    runtime = one.environment.get("runtime")
    return f"{runtime.get('name')} {runtime.get('version')}" if isinstance(runtime, dict) else None


def _differ(what: str, of_a: Any, of_b: Any) -> str | None:
    return None if of_a == of_b else f"{what} {_said(of_a)} against {_said(of_b)}"


def _said(value: Any) -> str:
    return "unknown" if value is None else str(value)


def _machine(of_a: Any, of_b: Any) -> str | None:
    if of_a is None or of_b is None:
        return "not both say which machine they were measured on"
    return None if of_a == of_b else "measured on different machines"
