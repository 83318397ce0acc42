"""A parity report for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlpack_edge.cli.outcome import table
from mlpack_edge.core.errors import CheckFailed

Json = dict[str, Any]


@contextmanager
def showing_parity() -> Iterator[None]:
    """Let a failed comparison show its table before the error."""
    try:
        yield
    except CheckFailed as failure:
        parity = failure.data.get("result", {}).get("parity")
        if parity:
            failure.data["text"] = parity_text({**parity, "reasons": [], "first_divergence": None})
        raise


def parity_text(parity: Json) -> str:
    """A line a output, and what was left out."""
    rows = []
    for output in parity["outputs"]:
        flips = output["label_flips"]
        rows.append(
            (
                output["name"],
                "-" if flips is None else str(flips),
                _number(output["max_abs"]) if flips is None else "-",
                _number(output["max_rel"]) if flips is None else "-",
                _number(output["p99_abs"]) if flips is None else "-",
            )
        )
    verdict = "same" if parity["passed"] else "NOT the same"
    groups = ", ".join(f"{count:,} {name}" for name, count in parity["groups"].items() if count)
    lines = [f"{verdict} on {parity['rows']:,} rows ({groups})"]
    if parity["ill_conditioned"]:
        lines.append(
            f"left out: {parity['ill_conditioned']} made rows at which the source itself changes as much "
            "when its input moves by one unit in the last place (a quantized one: by one step)"
        )
    for name, why in parity["left_out"].items():
        lines.append(f"left out: {name} rows ({why})")
    lines.append(table(rows, ("output", "label flips", "max abs", "max rel", "p99 abs")))
    lines += parity["reasons"]
    divergence = parity["first_divergence"]
    if divergence:
        lines.append(
            f"first step to diverge: {divergence['step']}, row {divergence['row']}: "
            f"{divergence['reference']} became {divergence['candidate']}"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "inf" if value is None else f"{value:.3g}"
