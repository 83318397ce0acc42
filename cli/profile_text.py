"""Specs and profiles as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlpack_edge.cli.outcome import short, size_text, table
from mlpack_edge.profiles.spec import Categorical, Numeric, Spec

Json = dict[str, Any]


def spec_text_of(path: str, size: int, spec: Spec) -> str:
    """What a spec counts, in one glance."""
    reference, blocks = spec.reference, spec.reference.blocks
    kinds = [
        ("numbers", sum(isinstance(feature, Numeric) for feature in spec.features)),
        ("categories", sum(isinstance(feature, Categorical) for feature in spec.features)),
        ("presence only", sum(not isinstance(feature, Numeric | Categorical) for feature in spec.features)),
    ]
    facts = [
        ("spec", f"{path}  {size_text(size)}"),
        ("features", ", ".join(f"{count} {kind}" for kind, count in kinds if count)),
        ("reference", f"{reference.rows:,} rows" + (f" of {reference.devices:,} devices" if reference.devices else "")),
        ("blocks", f"{len(blocks.rows)} by {blocks.unit}, {blocks.first} to {blocks.last}"),
    ]
    return table(facts)


def profile_text(document: Json) -> str:
    """The rows of a profile, and of each feature what does not need its cells."""
    window = document["window"]
    head = table([
        *([("noise", f"epsilon {document['epsilon']:g}, for a row")] if document["epsilon"] else []),
        ("rows", "-" if document["epsilon"] else f"{document['rows']:,}" + (f", {document['predictions']:,} with a prediction" if document["predictions"] else "")),
        ("window", f"{_time(window['start'])} to {_time(window['end'])}" if window["end"] else "without a date"),
        ("spec", document["spec"]),
        ("outcome", ", ".join(f"{count:,} {name}" for name, count in document["outcome"].items() if count) or "-"),
    ])  # fmt: skip
    if document["epsilon"]:
        told = [
            (short(name), str(reports), ", ".join(map(str, document["features"][name]["counts"])))
            for name, reports in document["carried"].items()
            if name in document["features"]
        ]
        return head + "\n\n" + table(told, ("feature", "reports", "counts with noise"))
    return head + "\n\n" + _features(document["features"])


def _features(features: Mapping[str, Json]) -> str:
    """Values that are no numbers have a column where there are some."""
    shown = ["missing", "unseen", "out_of_range"]
    shown += ["invalid"] if any(each["invalid"] for each in features.values()) else []
    rows = [
        (short(name), each["kind"], *(_share(each[count], each) for count in shown), _level(each))
        for name, each in features.items()
    ]
    return table(rows, ("feature", "kind", *(count.replace("_", " ") for count in shown), "mean or most frequent"))


def _share(count: int, feature: Json) -> str:
    return f"{100 * count / feature['rows']:.2f} %" if feature["rows"] else "-"


def _level(feature: Json) -> str:
    if feature["kind"] == "numeric":
        return "-" if feature["mean"] is None else f"{feature['mean']:.6g}"
    if feature["kind"] == "categorical" and feature["categories"] and any(feature["counts"]):
        names = [*feature["categories"], "other known"]
        largest = max(range(len(names)), key=lambda place: feature["counts"][place])
        return f"{short(names[largest])} ({_share(feature['counts'][largest], feature)})"
    return "-"


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return f"second {seconds:,}"
