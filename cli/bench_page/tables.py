"""The tables of the page: rows of text, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.cli.bench_page.labels import shortened
from mlpack_edge.cli.bench_page.models import Model
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

CLASSES = {
    "total": "Total", "simd": "SIMD", "multiply_add": "Multiply-add", "dot_product": "Dot product", "loads": "Loads",
    "stores": "Stores",
}  # fmt: skip
# Rows of operators on a page, over all models: what keeps ten models of hundreds of operators each under 300 kB.
OPERATOR_ROWS = 600
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
    for name in list(CLASSES)[1:]:
        count = model.number("instructions", name)
        share = None if count is None or not total else count / total
        text = f"{100 * min(share or 0.0, 1.0):.1f}"
        bars.append(Bar(CLASSES[name], count_text(count, 4), share_text(share, 1), text))
    return bars


def calibrated(model: Model) -> str:
    """The range that a calibration on the board itself allows, with its date and spread; empty where there is none."""
    record = model.facts.get("calibrated_ns")
    if not isinstance(record, dict):
        return ""
    low, high, spread = (known(record.get(key)) for key in ("low", "high", "spread"))
    told = [f"Calibrated range: {span_text(low, high)} per inference"]
    told += [f"on {_clean(record['board'])}"] if record.get("board") else []
    told += [f"from a calibration made there on {_clean(record['date'])}"] if record.get("date") else []
    if spread is not None:
        told.append(f"whose models differ by a factor of {spread:.3g} in what an instruction costs")
    return ", ".join(told) + "."


def estimates(model: Model) -> list[tuple[str, str]]:
    """What a simulator made of the model, in its own terms, and what it covers."""
    record = model.facts.get("estimate") or {}
    texts = ("covers", "left_on_cpu")
    rows = [(_words(name), _estimate(name, known(value))) for name, value in record.items() if name not in texts]
    left = "; ".join(_left(one) for one in record.get("left_on_cpu") or [])
    covers = _clean(record.get("covers"))
    return rows + ([("Covers", covers)] if covers else []) + ([("Left on the CPU", left)] if left else [])


def _left(record: Any) -> str:
    """`SOFTMAX, 2 (why)`, as far as it is told."""
    if not isinstance(record, dict):
        return _clean(record)
    count = f", {record['count']}" if (known(record.get("count")) or 1) > 1 else ""
    return f"{_clean(record.get('op'))}{count}" + (f" ({_clean(record['reason'])})" if record.get("reason") else "")


def _estimate(name: str, value: float | None) -> str:
    if name.endswith("_bytes"):
        return bytes_text(value)
    return share_text(value, 1) if name.endswith("_share") else whole_text(value)


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
        shortened(_clean(record.get("name")) or NONE, 480, 13), shortened(_clean(record.get("op")) or NONE, 200, 13),
        number_text(known(record.get("calls"))), time_text(known(record.get("ns"))), share_text(share, 1),
        f"{100 * (share or 0.0) / most:.1f}",
    )  # fmt: skip


def _share(record: Json, whole: float) -> float | None:
    share, time = known(record.get("share")), known(record.get("ns"))
    return share if share is not None else time / whole if time is not None and whole else None


def profiled_by(model: Model) -> str:
    """By what means, in the words of the record; empty where it says nothing."""
    return ", ".join(
        dict.fromkeys(filter(None, (_clean(row.get("method")) for row in model.facts.get("profile") or [])))
    )


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
    reasons = [f"{_clean(reason)}." for key in ("reasons", "undecided") for reason in record.get(key) or []]
    return record.get("passed") is True, f"{100 * limit:.6g}{GAP}%" if limit is not None else "", reasons


def notes(records: Sequence[object]) -> list[str]:
    """Each note once."""
    return list(dict.fromkeys(filter(None, map(_clean, records))))


def _words(name: str) -> str:
    words = name.replace("_", " ")
    return (
        (words[:1].upper() + words[1:])
        .replace("Sram", "SRAM")
        .replace("Dram", "DRAM")
        .replace("Macs", "MACs")
        .replace("Cpu", "CPU")
        .replace("Npu", "NPU")
    )


def _clean(value: object) -> str:
    return "" if value is None else printable(str(value)).strip()
