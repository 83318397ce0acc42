"""What `mlpack check` says of other machines, for people."""

from __future__ import annotations

from typing import Any

from mlpack_edge.cli.outcome import table

Json = dict[str, Any]


def architectures_text(result: Json) -> str:
    """A paragraph a target, and what rows were left out."""
    parts = [_target_text(item) for item in result["architectures"]]
    left = [f"left out: {name} rows ({why})" for name, why in result["left_out"].items()]
    return "\n".join([*parts, *left])


def bits_text(item: Json) -> str:
    """`same bits on 6,936 rows`, or how many values are not and how far apart they are."""
    if item["bit_identical"]:
        return f"same bits on {item['rows']:,} rows"
    outputs = [output for output in item["outputs"] if output["different"]]
    parts = [
        f"{max(found):,} {one if max(found) == 1 else many} at most"
        for one, many, found in (
            ("ULP", "ULP", [output["max_ulp"] for output in outputs if output["max_ulp"] is not None]),
            ("step", "steps", [output["max_steps"] for output in outputs if output["max_steps"] is not None]),
        )
        if found
    ]
    nan = sum(output["one_sided_nan"] for output in outputs)
    parts += [f"{nan:,} are NaN on one side"] if nan else []
    count = f"{item['different']:,} of {item['values']:,} values differ on {item['rows']:,} rows"
    return ", ".join([*parts, count])


def _target_text(item: Json) -> str:
    about = [item["cpu"], item["arch"], item["emulated"]]
    if item["runtime"]:
        about.append(f"{item['runtime']['name']} {item['runtime']['version']}")
    known = ", ".join(text for text in about if text)
    verdict = "same" if item["passed"] else "NOT the same"
    lines = [f"{item['target']}{f' ({known})' if known else ''}: {verdict}"]
    if item["outputs"]:
        lines.append(f"  {bits_text(item)}")
    if item["ill_conditioned"]:
        lines.append(
            f"  left out of the verdict: {item['ill_conditioned']} made rows at which the model itself changes as much "
            "when its input moves by one unit in the last place (a quantized one: by one step)"
        )
    if item["outputs"] and not item["bit_identical"]:
        rows = [_row(output) for output in item["outputs"]]
        head = ("output", "differ", "max ULP", "max steps", "max abs", "max rel", "label flips")
        lines += [f"  {line}" for line in table(rows, head).splitlines()]
    lines += [f"  {note}" for note in item["notes"]]
    return "\n".join(lines)


def _row(output: Json) -> tuple[str, ...]:
    return (
        output["name"],
        str(output["different"]),
        *(_count(output[key]) for key in ("max_ulp", "max_steps")),
        *(f"{output[key]:.3g}" for key in ("max_abs", "max_rel")),
        _count(output["label_flips"]),
    )


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)
