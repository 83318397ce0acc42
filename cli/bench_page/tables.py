"""The tables of the page: rows of text, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.cli.bench_page.charts.detail import beyond
from mlpack_edge.cli.bench_page.labels import shortened
from mlpack_edge.cli.bench_page.models import CLASSES, Model
from mlpack_edge.cli.bench_page.sentences import why_unstable
from mlpack_edge.cli.bench_page.units import (
    GAP,
    NONE,
    bytes_text,
    count_text,
    known,
    number_text,
    share_text,
    span_text,
    time_text,
    whole_text,
)
from mlpack_edge.cli.outcome import printable

Json = dict[str, Any]

__all__ = ["beyond"]

# Rows of operators on a page, over all models: what keeps ten models of hundreds of operators each under 300 kB.
OPERATOR_ROWS = 800
TOP = 15


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of a profile; `bar` is its length of 100 against the longest one."""

    name: str
    op: str
    calls: str
    time: str
    share: str
    bar: str


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    count: str
    share: str
    bar: str


def latency(model: Model) -> list[str]:
    """Isolated p50, its interval, isolated p99; experienced p50, p90, p99; share of clean calls."""
    interval = model.facts.get("ci95_ns") or (None, None)
    cells = [time_text(model.number("isolated_ns", "p50")), span_text(known(interval[0]), known(interval[1])),
             time_text(model.number("isolated_ns", "p99"))]  # fmt: skip
    cells += [time_text(model.number("latency_ns", name)) for name in ("p50", "p90", "p99")]
    return [*cells, share_text(model.number("clean_share"))]


def state(model: Model) -> tuple[str, str]:
    """The verdict, and why where it is not "stable"."""
    return ("stable", "") if model.stable else ("unstable", why_unstable(model))


def start(model: Model) -> list[str]:
    """First call, load, peak memory, file size, harness floor, samples, processes; no times where time means nothing."""
    times = [time_text(model.number(key)) for key in ("first_call_ns", "load_ns")] if model.timed else []
    floor = [time_text(model.number("harness_floor_ns"))] if model.timed else []
    sampled = [whole_text(model.number(key)) for key in ("samples", "processes")] if model.timed else []
    return [*times, bytes_text(model.number("peak_rss_bytes")), bytes_text(model.number("bytes")), *floor, *sampled]


def metric(model: Model) -> str:
    record = model.facts.get("metric")
    if not isinstance(record, dict):
        return NONE
    return f"{number_text(known(record.get('value')))} {_clean(record.get('name'))}".strip()


def instructions(model: Model) -> list[str]:
    return [count_text(model.number("instructions", name), 4) for name in CLASSES]


def instruction_bars(model: Model) -> list[Bar]:
    """The classes as shares of the total; an instruction may be of several classes."""
    total = model.number("instructions", "total")
    bars = []
    for name in CLASSES[1:]:
        count = model.number("instructions", name)
        share = None if count is None or not total else count / total
        text = f"{100 * min(share or 0.0, 1.0):.1f}"
        bars.append(Bar(name.replace("_", "-"), count_text(count, 4), share_text(share, 1), text))
    return bars


def calibrated(model: Model) -> str:
    """The range that a calibration on the board itself allows, with its date and spread; empty where there is none."""
    record = model.facts.get("calibrated_ns")
    if not isinstance(record, dict):
        return ""
    low, high = (known(record.get(key)) for key in ("lo", "hi"))
    spread = known(record.get("spread"))
    told = [f"Estimated from a calibration on the board itself: {span_text(low, high)}"]
    told += [f"calibrated {_clean(record['date'])}"] if record.get("date") else []
    told += [f"on {_clean(record['board'])}"] if record.get("board") else []
    told += [f"spread of the calibration {share_text(spread, 1)}"] if spread is not None else []
    return ", ".join(told) + "."


def profile(model: Model, models: Sequence[Model]) -> tuple[list[Operator], list[Operator], str]:
    """The costliest operators, then as many more as the page has room for, and what the rest adds up to."""
    records = model.facts.get("profile") if model.timed else None
    if not records:
        return [], [], ""
    ranked = sorted(records, key=lambda record: -(known(record.get("ns")) or 0.0))
    whole = sum(known(record.get("ns")) or 0.0 for record in ranked)
    most = max((_share(record, whole) or 0.0 for record in ranked), default=0.0) or 1.0
    room = max(TOP, OPERATOR_ROWS // sum(1 for other in models if other.facts.get("profile")))
    rows = [_operator(record, whole, most) for record in ranked[:room]]
    left = ranked[room:]
    rest = ""
    if left:
        time = sum(known(record.get("ns")) or 0.0 for record in left)
        share = share_text(time / whole if whole else None, 1)
        rest = (
            f"{whole_text(len(left))} further operators, {time_text(time)} together ({share}); --json lists them all."
        )
    return rows[:TOP], rows[TOP:], rest


def _operator(record: Json, whole: float, most: float) -> Operator:
    share = _share(record, whole)
    # Names of nodes are paths of hundreds of letters in some exports; twice the width of the column is enough to know one.
    return Operator(
        shortened(_clean(record.get("name")) or NONE, 520, 13), shortened(_clean(record.get("op")) or NONE, 200, 13),
        whole_text(known(record.get("calls"))), time_text(known(record.get("ns"))), share_text(share, 1),
        f"{100 * (share or 0.0) / most:.1f}",
    )  # fmt: skip


def _share(record: Json, whole: float) -> float | None:
    share, time = known(record.get("share")), known(record.get("ns"))
    return share if share is not None else time / whole if time is not None and whole else None


def run_facts(models: Sequence[Model]) -> list[str]:
    """What all results have in common, in a line: target, CPU, threads, batch, processes."""
    facts = []
    for text in (
        lambda model: _clean(model.facts.get("target")),
        lambda model: _clean((model.facts.get("environment") or {}).get("cpu")),
        lambda model: _plural(model.number("threads"), "thread"),
        lambda model: f"batch {whole_text(model.number('batch'))}" if model.number("batch") is not None else "",
        lambda model: _plural(model.number("processes"), "process", "processes") if model.timed else "",
    ):
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
    found = model.facts.get("environment") or {}
    temperature, frequency = known(found.get("temperature_c")), known(found.get("frequency_mhz"))
    runtime = found.get("runtime") or {}
    features = found.get("features") or []
    return {
        "Target": _clean(model.facts.get("target")) or NONE,
        "CPU": _clean(found.get("cpu")) or NONE,
        "Architecture": _clean(found.get("arch")) or NONE,
        "Cores": whole_text(known(found.get("cores"))),
        "Features": " ".join(_clean(feature) for feature in features)[:1500] or NONE,
        "Governor": _clean(found.get("governor")) or "not readable",
        "Frequency": f"{frequency:,.0f}{GAP}MHz" if frequency is not None else "not readable",
        "Temperature": f"{temperature:.1f}{GAP}°C" if temperature is not None else "not readable",
        "Throttled": {True: "yes", False: "no"}.get(found.get("throttled"), "not readable"),
        "Load before": _load(found.get("load_before")),
        "Load after": _load(found.get("load_after")),
        "Kernel": _clean(found.get("kernel")) or NONE,
        "Emulated by": _clean(found.get("emulated")) or "not emulated",
        "Python": _clean(found.get("python")) or NONE,
        "Runtime": " ".join(_clean(runtime.get(key)) for key in ("name", "version")).strip() or NONE,
        "Threads": whole_text(model.number("threads")),
        "Spinning": {True: "on", False: "off"}.get(model.facts.get("spinning"), NONE),
        "Call": _clean(model.facts.get("io")) or NONE,
        "Machine": _clean(found.get("machine_id")) or NONE,
    }


def _load(value: object) -> str:
    """A load average, or the three of them."""
    if isinstance(value, list | tuple):
        return " ".join(_load(item) for item in value) or NONE
    number = known(value)
    return f"{number:.2f}" if number is not None else "not readable"


def digests(model: Model) -> list[tuple[str, str]]:
    names = (("model", "model_sha256"), ("input", "input_digest"), ("output", "output_digest"))
    return [(name, _clean(model.facts.get(key)) or NONE) for name, key in names]


def refusal(record: Json) -> tuple[str, str, str, str]:
    """Model, what, why, what next; an error may be a text or the record that `--json` prints."""
    error = record.get("error")
    facts = error if isinstance(error, dict) else {"message": error}
    return (
        _clean(record.get("model")) or "unnamed",
        _clean(facts.get("message")) or "refused without a reason",
        _clean(facts.get("why")),
        _clean(facts.get("hint")),
    )


def gate(record: Json | None) -> tuple[bool, str, list[str]] | None:
    """Whether the gate let the run pass, its limit, its reasons. What is not known to have passed has not."""
    if not isinstance(record, dict):
        return None
    limit = known(record.get("limit"))
    reasons = [_clean(reason) for reason in record.get("reasons") or []]
    return record.get("passed") is True, share_text(limit, 1) if limit is not None else "", reasons


def _plural(number: float | None, one: str, more: str | None = None) -> str:
    if number is None:
        return ""
    return f"{whole_text(number)} {one if number == 1 else more or one + 's'}"


def _clean(value: object) -> str:
    return "" if value is None else printable(str(value)).strip()
