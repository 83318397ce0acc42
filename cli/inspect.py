"""`mlpack inspect`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mlpack_edge.cli.options import limit_options, limits_of
from mlpack_edge.cli.outcome import Outcome, answers, size_text, table
from mlpack_edge.runtimes.inspection.inspect import inspect_file

Json = dict[str, Any]

#: What fits a terminal; --json has everything.
_MOST_OPS, _MOST_TENSORS, _MOST_TEXT = 12, 12, 80


@click.command("inspect", short_help="Say what a model file holds and whether it loads.")
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@limit_options
@answers("inspect")
def command(file: Path, time_limit: float, memory_limit: int | None) -> Outcome:
    """Say what an ONNX or TFLite FILE holds, and whether a runtime opens it.

    The file is told by its content. Of a damaged file everything is said that can be, then what is wrong with it, and
    the exit code is 1. Other model files are named, with size and digest; nothing in them is executed.

    \b
    Examples:
      mlpack inspect model.onnx
      mlpack inspect model.tflite --json
    """
    inspection = inspect_file(file, limits_of(time_limit, memory_limit))
    text = facts_text(inspection.facts)
    if inspection.problem is not None:
        inspection.problem.data |= {"result": inspection.facts, "text": text}
        raise inspection.problem
    return Outcome(inspection.facts, text)


def facts_text(facts: Json) -> str:
    """The facts as a short table. Names come from a foreign file: control characters in them are not printed."""
    rows: list[tuple[str, str]] = [("file", f"{facts['path']}  {facts['format']}, {size_text(facts['bytes'])}")]
    if facts.get("parameters") is not None:
        rows.append(("parameters", f"{facts['parameters']:,}"))
    for key, show in _ROWS.items():
        if facts.get(key):
            rows += [(_LABELS.get(key, key), text) for text in show(facts[key], facts)]
    rows += [("loads", f"{name}: {'yes' if answer is True else answer}") for name, answer in facts["loads"].items()]
    rows += [("note", text) for text in facts["notes"]]
    rows.append(("sha256", facts["sha256"]))
    labels = [label if index == 0 or rows[index - 1][0] != label else "" for index, (label, _) in enumerate(rows)]
    return table([(label, plain_text(text)) for label, (_, text) in zip(labels, rows, strict=True)])


def plain_text(text: str) -> str:
    """Without line breaks, terminal escapes and other characters that are not to be seen."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _opset(number: int, facts: Json) -> list[str]:
    others = [f"{name} {version}" for name, version in facts["opsets"].items() if name != "ai.onnx"]
    return [", ".join([str(number), *others, f"IR {facts['ir_version']}"])]


def _tensors(specs: list[Json], facts: Json) -> list[str]:
    texts = [_tensor(spec) for spec in specs[:_MOST_TENSORS]]
    return texts + ([f"and {len(specs) - _MOST_TENSORS} more"] if len(specs) > _MOST_TENSORS else [])


def _tensor(spec: Json) -> str:
    shape = "" if spec["shape"] is None else f"[{', '.join('?' if s is None else str(s) for s in spec['shape'])}]"
    role = f"  ({spec['role']})" if spec.get("role") else ""
    scale = f"  scale {spec['scale']:.6g}, zero point {spec['zero_point']}" if "scale" in spec else ""
    return f"{spec['name']} {spec['dtype']}{shape}{role}{scale}"


def _ops(counts: dict[str, int], facts: Json) -> list[str]:
    shown = [f"{name} {count}{_versions(name, facts)}" for name, count in list(counts.items())[:_MOST_OPS]]
    more = [f"and {len(counts) - _MOST_OPS} other kinds"] if len(counts) > _MOST_OPS else []
    return [f"{facts['nodes']:,}: {', '.join([*shown, *more])}"]


def _versions(name: str, facts: Json) -> str:
    """TFLite operators have versions of their own; only what is not the first is shown."""
    found = facts.get("op_versions", {}).get(name, [1])
    return "" if found == [1] else f" (v{', v'.join(map(str, found))})"


def _quantization(found: Json, _: Json) -> list[str]:
    weights = ", ".join(f"{count:,} {name}" for name, count in found["weights"].items())
    lines = [f"{found['scheme']}; {found['share']:.0%} of the parameters{f': {weights}' if weights else ''}"]
    if "scales" in found:
        low, high = found["scales"]["min"], found["scales"]["max"]
        span = "" if low is None or high is None else f"; scales {low:.3g} to {high:.3g}"
        lines.append(f"{found['per_tensor']:,} tensors, {found['per_channel']:,} per channel{span}")
    return lines


def _counts(counts: dict[str, int], _: Json) -> list[str]:
    return [", ".join(f"{count:,} {name}" for name, count in counts.items())]


def _metadata(entries: dict[str, str], facts: Json) -> list[str]:
    texts = [f"{key}: {value}" for key, value in entries.items()]
    return [text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 3]}..." for text in texts]


def _signature(signature: Json, facts: Json) -> list[str]:
    columns, classes = len(signature["columns"]), len(signature["classes"])
    parts = [f"{count} {what}" for count, what in ((columns, "columns"), (classes, "classes")) if count]
    return [f"mlpack's{', ' if parts else ''}{', '.join(parts)}"]


#: Keys that people read under another word. (`schema` is taken in JSON: it is the version of the document.)
_LABELS = {"schema_version": "schema"}
#: Key of the facts -> its lines, in the order in which they are shown.
_ROWS: dict[str, Callable[[Any, Json], list[str]]] = {
    "opset": _opset,
    "schema_version": lambda number, facts: [f"TFLite {number}"],
    "producer": lambda text, facts: [text],
    "inputs": _tensors,
    "outputs": _tensors,
    "ops": _ops,
    "tensors": _counts,
    "quantization": _quantization,
    "external": lambda count, facts: [f"{count} tensors in other files"],
    "signature": _signature,
    "metadata": _metadata,
}
