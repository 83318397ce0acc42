"""How much slower is too slow: a policy, applied to comparisons."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.verdict import Verdict
from mlpack_edge.runtimes.measuring.result import Comparison

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """`limit`: how much slower is allowed, as a share; 0.1 for `--gate 10%`."""

    limit: float


def gate_from_text(text: str) -> Gate:
    """`10%`, `2.5 %`, `0%`. BadInput otherwise: a bare number could mean a share as well as a percentage."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s?%", text.strip(), flags=re.ASCII)
    if found is None:
        raise BadInput(f"--gate {text!r} is no percentage", "write it as --gate 10%")
    return Gate(float(found[1]) / 100)


def judge(gate: Gate, comparisons: Sequence[Comparison]) -> Verdict:
    """Fails where the interval of a ratio lies wholly above 1 + limit, or where there is none (NaN).

    An interval that reaches below the limit passes: the same file, measured twice, must not fail now and then.
    `undecided` names those that also reach above it. Counts of instructions have no spread and are judged as they are.
    BadInput without a comparison, which would pass whatever was measured.
    """
    if not comparisons:
        raise BadInput("--gate has nothing to compare with", "name a stored result with --baseline, or several models")
    reasons = tuple(_reason(gate, one) for one in comparisons if not one.ci95[0] <= _bound(gate))
    return Verdict(not reasons, reasons)


def undecided(gate: Gate, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """What passes without being shown to be within the limit, a sentence each."""
    return tuple(
        f"{one.b} against {one.a}: the interval, {_span(one)}, reaches on both sides of the limit, {_bound(gate):.6g}; "
        "more --processes or --seconds, or a quieter machine, would narrow it"
        for one in comparisons
        if one.ci95[0] <= _bound(gate) < one.ci95[1]
    )


def gate_to_json(gate: Gate, comparisons: Sequence[Comparison]) -> Json:
    """`gate` in the document of `mlpack bench --json`."""
    verdict = judge(gate, comparisons)
    return {
        "limit": gate.limit,
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "undecided": list(undecided(gate, comparisons)),
    }


def _bound(gate: Gate) -> float:
    return 1 + gate.limit


def _reason(gate: Gate, one: Comparison) -> str:
    pair = f"{one.b} against {one.a}"
    low = one.ci95[0]
    if math.isnan(low):
        return f"{pair}: no interval, and so no proof of anything; at least 2 processes of each with samples are needed"
    if one.view in ("instructions", "cycles"):
        return f"{pair}: {100 * (low - 1):.2f} % more {one.view}, and {_percent(gate)} is the limit"
    return f"{pair}: slower by {100 * (low - 1):.1f} % at least ({_span(one)}), and {_percent(gate)} is the limit"


def _span(one: Comparison) -> str:
    return f"ratio {one.ci95[0]:.4g} to {one.ci95[1]:.4g} with 95 % confidence"


def _percent(gate: Gate) -> str:
    return f"{100 * gate.limit:.6g} %"
