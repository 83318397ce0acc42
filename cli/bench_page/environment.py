"""Where it was measured: what all results share, and what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlpack_edge.cli.bench_page.labels import shortened
from mlpack_edge.cli.bench_page.models import Model
from mlpack_edge.cli.bench_page.units import GAP, NONE, bytes_text, known, share_text, time_text, whole_text
from mlpack_edge.cli.outcome import printable

Json = dict[str, Any]

UNREADABLE = "not readable"
SWITCH: dict[object, str] = {True: "on", False: "off"}


def run_facts(models: Sequence[Model]) -> list[str]:
    """What all results have in common, in a line: target, CPU, threads, batch, processes."""
    facts = []
    for text in (_target, _cpu, _threads, _batch, _processes):
        found = {text(model) for model in models}
        if len(found) == 1 and (value := found.pop()):
            facts.append(shortened(value, 600, 13))
    return facts


def environments(models: Sequence[Model]) -> tuple[list[tuple[str, str]], list[str], list[list[str]]]:
    """(what is the same for all models as name and value, the names of what differs, their values by model)."""
    by_model = [_environment(model) for model in models]
    names = list(dict.fromkeys(name for facts in by_model for name in facts))
    same = [name for name in names if len({facts.get(name) for facts in by_model}) == 1]
    differing = [name for name in names if name not in same]
    shared = [(name, by_model[0][name]) for name in same]
    return shared, differing, [[facts.get(name, NONE) for name in differing] for facts in by_model]


def _environment(model: Model) -> dict[str, str]:
    found: Json = {**(model.facts.get("environment") or {})}
    runtime = found.pop("runtime", None) or {}
    facts = {"Target": _target(model) or NONE}
    facts |= {
        name: show(found.pop(key, None)) for key, (name, show) in SHOWN.items() if key in found or key not in OPTIONAL
    }
    probe = known(found.pop("probe_ns", None))
    if model.timed and probe is not None:
        facts["Probe of fixed work"] = time_text(probe)
    facts["Runtime"] = " ".join(_clean(runtime.get(key)) for key in ("name", "version")).strip() or NONE
    facts["Threads"] = whole_text(model.number("threads"))
    facts["Batch"] = whole_text(model.number("batch"))
    facts["Spinning"] = SWITCH.get(model.facts.get("spinning"), NONE)
    facts["Call"] = _clean(model.facts.get("io")) or NONE
    # What a target adds of its own is shown as it is.
    plain = {
        key: value for key, value in found.items() if isinstance(value, str | int | float) and not key.endswith("_ns")
    }
    return facts | {key.replace("_", " ").capitalize(): _clean(value)[:500] for key, value in plain.items()}


def _target(model: Model) -> str:
    return _clean(model.facts.get("target"))


def _cpu(model: Model) -> str:
    return _clean((model.facts.get("environment") or {}).get("cpu"))


def _threads(model: Model) -> str:
    return _plural(model.number("threads"), "thread", "threads")


def _batch(model: Model) -> str:
    number = model.number("batch")
    return f"batch {whole_text(number)}" if number is not None else ""


def _processes(model: Model) -> str:
    return _plural(model.number("processes"), "process", "processes") if model.timed else ""


def _plural(number: float | None, one: str, more: str) -> str:
    return "" if number is None else f"{whole_text(number)} {one if number == 1 else more}"


def _text(value: object) -> str:
    return _clean(value) or NONE


def _or_unreadable(value: object) -> str:
    """Also for what is True or False: Raspberry Pis say more than that of throttling."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _clean(value) or UNREADABLE


def _whole(value: object) -> str:
    return whole_text(known(value))


def _megahertz(value: object) -> str:
    number = known(value)
    return f"{number:,.0f}{GAP}MHz" if number is not None else UNREADABLE


def _celsius(value: object) -> str:
    number = known(value)
    return f"{number:.1f}{GAP}°C" if number is not None else UNREADABLE


def _load(value: object) -> str:
    """A load average, or the three of them (1, 5 and 15 minutes)."""
    if isinstance(value, list | tuple):
        return GAP.join(_load(item) for item in value) or UNREADABLE
    number = known(value)
    return f"{number:.2f}" if number is not None else UNREADABLE


def _features(value: object) -> str:
    return shortened(" ".join(map(_clean, value)), 9000, 13) or NONE if isinstance(value, list | tuple) else NONE


def _share(value: object) -> str:
    number = known(value)
    return share_text(number, 1) if number is not None else UNREADABLE


def _bytes(value: object) -> str:
    return bytes_text(known(value))


def _emulated(value: object) -> str:
    return _clean(value) or "not emulated"


def _clean(value: object) -> str:
    return "" if value is None else printable(str(value)).strip()


# What not every target looks for; the others are shown as "not readable".
OPTIONAL = frozenset({"usable_cores", "memory_bytes", "temperature_before_c", "stolen_share"})
SHOWN: dict[str, tuple[str, Callable[[object], str]]] = {
    "cpu": ("CPU", _text),
    "arch": ("Architecture", _text),
    "cores": ("Cores", _whole),
    "usable_cores": ("Usable cores", _whole),
    "memory_bytes": ("Memory", _bytes),
    "features": ("Features", _features),
    "governor": ("Governor", _or_unreadable),
    "frequency_mhz": ("Frequency", _megahertz),
    "temperature_before_c": ("Temperature before", _celsius),
    "temperature_c": ("Temperature", _celsius),
    "throttled": ("Throttled", _or_unreadable),
    "load_before": ("Load before", _load),
    "load_after": ("Load after", _load),
    "stolen_share": ("Taken by other guests", _share),
    "kernel": ("Kernel", _text),
    "emulated": ("Emulated by", _emulated),
    "python": ("Python", _text),
    "machine_id": ("Machine", _text),
}
