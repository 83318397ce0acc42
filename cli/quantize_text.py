"""What people read of a quantization: what was tried, which layers stayed as they were, and why this one."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from mlpack_edge.cli.bench_text import duration
from mlpack_edge.cli.outcome import size_text, table
from mlpack_edge.cli.quantize_limit import limit_text

Json = dict[str, Any]
#: Layers that are shown without --verbose: the worst.
_LAYERS = 12


def quantize_text(document: Json, verbose: bool) -> str:
    """The file (where one was written) and why, the table of candidates, the layers, the calibration, the proof."""
    parts = [_opening(document), candidates_text(document), limit_text(document["time_limit"])]
    parts += [layers_text(document, verbose), _float_layers(document), _calibration(document), _proof(document)]
    return "\n".join(part for part in parts if part)


def _opening(document: Json) -> str:
    output, source, size = document["output"], document["source"], document["size"]
    if output is None:
        return ""
    return (
        f"{output['path']}  {size_text(output['bytes'])}  from {source['kind']} {source['path']}, "
        f"{_share(output['bytes'], size['before'])} of its {size_text(size['before'])}\n{document['why']}"
    )


def candidates_text(document: Json) -> str:
    """A line a candidate, the float file first."""
    before = duration(document["float_ns"]) if document["float_ns"] else "-"
    size = document["size"]["before"]
    rows = [("float", size_text(size), "1.00", "-", before, "")]
    rows += [
        (
            one["label"], size_text(one["bytes"]), _share(one["bytes"], size), drop_text(one["metric"]),
            _speed(one["latency"]), _verdict(one),
        )
        for one in document["candidates"]
    ]  # fmt: skip
    metrics = {one["metric"]["name"] for one in document["candidates"]} - {"agreement"}
    name = f"{metrics.pop()} lost" if metrics else "drop"
    refused = [
        f"{one['label']} does not run: {one['latency']['refused']}"
        for one in document["candidates"]
        if one["latency"] is not None and one["latency"]["refused"]
    ]
    return "\n".join([table(rows, ("candidate", "size", "of float", name, "a call", "")), *refused])


#: The rule that is broken -> what the table says of it, whose columns have the figures; the sentences are in the JSON.
_BRIEF = {
    "max-drop": "loses too much", "smaller": "not smaller", "max-size": "too large", "slower": "slower",
    "max-latency": "too slow", "runs": "",
}  # fmt: skip


def _verdict(candidate: Json) -> str:
    """`written`, `fits`, or what it breaks: `loses too much (17 dB), slower`."""
    if candidate["chosen"]:
        return "written"
    if not candidate["broken"]:
        return "fits"
    said = []
    for rule in candidate["broken"]:
        amount = _lost(candidate) if rule == "max-drop" else ""
        untimed = rule == "max-latency" and (candidate["latency"] or {}).get("after_ns") is None
        said.append("not timed" if untimed else f"{_BRIEF[rule]}{f' ({amount})' if amount else ''}")
    return ", ".join(text for text in said if text)


def _lost(candidate: Json) -> str:
    """Of agreement, whose column does not say what the figure is of: noise or labels."""
    metric, flips = candidate["metric"], candidate["flips"]
    drop = metric["drop"]
    if metric["name"] != "agreement" or drop is None or not 0 < drop < math.inf:
        return ""
    return f"{100 * drop:.2g} % of labels" if drop == flips else f"{10 * math.log10(1 / drop):.0f} dB"


def drop_text(metric: Json) -> str:
    """What was lost, to three digits; a gain has a minus."""
    drop = metric["drop"]
    return "-" if drop is None or not math.isfinite(drop) else f"{drop:.4f}" if abs(drop) < 1 else f"{drop:.3g}"


def _speed(latency: Json | None) -> str:
    """`17.2 us, 0.71 of float (paired)`: the median call, and its share of the float file's time or instructions. The share is of calls
    in turns, where the machine is as busy for both; medians of calls apart may say otherwise."""
    if latency is None:
        return "-"
    if latency["refused"]:
        return "does not run"
    if latency["estimate"]:
        alone = ", NPU alone" if latency["estimate"]["cpu_operators"] else ""
        return f"{latency['estimate']['cycles']:,} cycles{alone}"
    ratio = "" if latency["ratio"] is None else f"{latency['ratio']:.2f} of float"
    if latency["after_ns"] is None:
        unit = {"instructions": " (instructions)", "cycles": " (cycles)"}.get(latency["view"] or "", "")
        return f"{ratio}{unit}" or "-"
    return f"{duration(latency['after_ns'])}, {ratio} (paired)" if ratio else duration(latency["after_ns"])


def layers_text(document: Json, verbose: bool) -> str:
    """Layers by what they cost alone, the worst first; all of them with --verbose, else where the search measured any."""
    layers = document["layers"]
    measured = [one for one in layers if one["noise_db"] is not None]
    if not layers or not (verbose or measured or document["kept_float"]):
        return ""
    order = sorted(layers, key=lambda one: (-_error(one["noise_db"]), _state(one) == "quantized"))
    shown = order if verbose else [one for one in order if one["kept_float"]] or order
    rest = 0 if verbose else max(0, len(shown) - _LAYERS)
    rows = [
        (
            one["name"], one["op_type"], "-" if one["noise_db"] is None else f"{one['noise_db']:.1f}",
            _state(one),
        )
        for one in (shown if verbose else shown[:_LAYERS])
    ]  # fmt: skip
    counts = Counter(map(_state, layers))
    told = "; ".join(f"{counts[state]} {state}" for state in _STATES if counts[state])
    said = f"layers: {told}" if len(counts) > 1 else f"layers: all {told}"
    more = f"\nand {rest} more; --verbose shows all" if rest else ""
    return f"{said}\n{table(rows, ('layer', 'operator', 'dB', ''))}{more}"


_STATES = ("quantized", "float, int8 weights", "kept float")


def _state(layer: Json) -> str:
    """What became of a layer: on codes; in float, its weights int8 in the file; as it was."""
    return _STATES[1] if layer["stored"] else _STATES[2] if layer["kept_float"] else _STATES[0]


def _float_layers(document: Json) -> str:
    """`3 layers compute in float (int8 weights): LSTM 2, Gather`, where the scheme's name promises codes."""
    found = Counter(one["op_type"] for one in document["layers"] if _state(one) == _STATES[1])
    if document["scheme"] not in ("static", "dynamic") or not found:
        return ""
    count = found.total()
    return f"{count} layer{' computes' if count == 1 else 's compute'} in float (int8 weights): " + ", ".join(
        f"{name} {times}" if times > 1 else name for name, times in found.most_common()
    )


def _error(noise_db: float | None) -> float:
    """The order of layers: less signal over noise is worse; those that nobody measured last."""
    return -math.inf if noise_db is None else -noise_db


def _calibration(document: Json) -> str:
    """Of what was written alone: other schemes have no use for it."""
    found, recipe = document["calibration"], document["recipe"]
    if not found or recipe is None or recipe["method"] is None:
        return ""
    return f"calibrated on {found['rows']:,} rows, {recipe['method']}"


def _proof(document: Json) -> str:
    """What the file was held against, and what came out."""
    metric, agreement, parity = document["metric"], document["agreement"], document["parity"]
    if parity is None or metric is None:
        return ""
    said = [f"judged on {parity['rows']:,} rows"]
    if metric["name"] != "agreement" and None not in (metric["before"], metric["after"]):
        said.append(f"{metric['name']} {metric['before']:.4f} became {metric['after']:.4f}")
    if agreement["flips"] is not None:
        said.append(f"{100 * agreement['flips']:.2f}% of labels changed")
    if agreement["slices"]:
        worst = agreement["slices"][0]
        where = worst["output"] if worst["index"] is None else f"{worst['output']}[{worst['index']}]"
        said.append(f"worst output {where} {_decibel(worst['noise'])}")
    return ", ".join(said)


def _decibel(noise: float | None) -> str:
    if noise is None or not math.isfinite(noise):
        return "is noise"
    return "exact" if noise <= 0 else f"{10 * math.log10(1 / noise):.0f} dB above its noise"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"
