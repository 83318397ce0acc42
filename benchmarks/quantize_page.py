"""The judged models as two tables in Markdown, one a format, for docs/explanation/quantization.md."""

from __future__ import annotations

from quantize_case import Json

#: Headings of the roads, in the order of the columns.
HEADINGS = {
    "onnx": {
        "mlpack-small": "mlpack, also slower", "mlpack": "mlpack", "mlpack-static": "mlpack static",
        "ort-static": "onnxruntime static", "ort-dynamic": "onnxruntime dynamic", "nncf": "NNCF",
    },
    "tflite": {
        "mlpack-lite-small": "mlpack, also slower", "mlpack-lite": "mlpack", "mlpack-lite-static": "mlpack static",
        "aeq-static": "ai-edge-quantizer static", "aeq-minmax": "true min/max", "aeq-dynamic": "dynamic range",
    },
}  # fmt: skip


def page(models: dict[str, Json]) -> str:
    """models: by name, what `quantize_measure.judged` found. Roads that were run for none of them have no column."""
    return "\n\n".join(_table(models, form) for form in HEADINGS)


def _table(models: dict[str, Json], form: str) -> str:
    roads = [road for road in HEADINGS[form] if any(road in found["roads"] for found in models.values())]
    head = ["model", "float bytes", *(HEADINGS[form][road] for road in roads)]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for name, found in models.items():
        size = found["bytes"].get(form)
        lines.append(
            _line([name, f"{size:,}" if size else "none", *(_cell(found["roads"].get(road)) for road in roads)])
        )
    return "\n".join(lines)


def _cell(found: Json | None) -> str:
    """Size over the float ONNX file, noise in dB below the answers, time over the float file of the same format; a cross
    where the budget is broken."""
    if found is None:
        return ""
    if "eval" not in found:
        return "no file"
    noise = found["eval"]["noise_db"]
    texts = [f"{found['to_float']:.2f}".lstrip("0"), "exact" if noise is None else f"{noise:.0f} dB"]
    if "latency_to_float" in found:
        texts.append(f"{found['latency_to_float']:.2f}x")
    return " ".join([*texts, *([] if found["eval"]["kept"] else ["✗"])])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
