"""The JSON form of a spec and back. What is read is believed only where it can be true."""

from __future__ import annotations

import base64
import binascii
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import LIMIT, Profile, Window, faults
from mlpack_edge.profiles.spec import (
    CONFIDENCE_CELLS,
    INPUT,
    MOST_STEPS,
    OUTPUT,
    SCHEMA,
    Blocks,
    Categorical,
    Feature,
    Learned,
    Numeric,
    Presence,
    Reference,
    Source,
    Spec,
    Threshold,
)

Json = dict[str, Any]

KIND = "mlpack-profile-spec"
#: Names of groups that are no features.
RESERVED = ("confidence", "latency", "outcome")


def spec_to_json(spec: Spec) -> Json:
    """Everything but the digest; equal specs give equal documents. What has its usual value is left out of features."""
    reference = spec.reference
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "model_sha256": spec.model_sha256,
        "confidence": spec.confidence,
        "features": [_feature_to_json(feature) for feature in spec.features],
        "reference": {
            "rows": reference.rows,
            "predictions": reference.predictions,
            "timed": reference.timed,
            "counts": list(reference.counts),
            "sums": list(reference.sums),
            "blocks": {
                "unit": reference.blocks.unit,
                "by": reference.blocks.by,
                "first": reference.blocks.first,
                "last": reference.blocks.last,
                "rows": list(reference.blocks.rows),
            },
            "learned": {name: _learned_to_json(learned) for name, learned in reference.learned.items()},
            "devices": reference.devices,
            "right": [list(pair) for pair in reference.right],
        },
        "lineage": dict(spec.lineage),
    }


def spec_from_json(record: Mapping[str, Any], where: str) -> Spec:
    """What `spec_to_json` gave. Raises BadInput, naming `where` and what is wrong, for anything that cannot be a spec."""
    try:
        spec = _spec(record)
        wrong = _wrong(spec)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error) as fault:
        wrong = [f"it lacks {fault}" if isinstance(fault, KeyError) else str(fault)]
    if wrong:
        raise BadInput(
            f"{where} is damaged: {wrong[0]}", "make it again with mlpack profile spec", why="; ".join(wrong[1:4])
        )
    return spec


def _feature_to_json(feature: Feature) -> Json:
    source = feature.source
    made: Json = {"name": source.name}
    for key, value, usual in (
        ("role", source.role, INPUT), ("tensor", source.tensor, source.name), ("index", source.index, 0), ("unit", source.unit, ""),
    ):  # fmt: skip
        if value != usual:
            made[key] = value
    if isinstance(feature, Numeric):
        numbers = {"low": feature.low, "high": feature.high, "centre": feature.centre}
        step = math.frexp(feature.step)[1] - 1
        return made | {"edges": [_short(edge) for edge in feature.edges], "step": step} | {
            key: _short(value) for key, value in numbers.items()
        }  # fmt: skip
    if isinstance(feature, Categorical):
        return made | {"categories": list(feature.categories), "known": list(feature.known)}
    return made | {"note": feature.note}


def _learned_to_json(learned: Learned) -> list[Any]:
    """[level_sd, between_devices, thresholds, effects]: without names, as there is one for each feature."""
    thresholds = {
        str(length): [each.windows, _short(each.distribution), _short(each.missing), _short(each.unseen)]
        for length, each in sorted(learned.thresholds.items())
    }
    effects = base64.b64encode(learned.effects).decode()
    return [_short(learned.level_sd), _short(learned.between_devices), thresholds, effects]


def _short(number: float) -> int | float:
    """Whole numbers without a fraction: the document is small, and reads the same."""
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _spec(record: Mapping[str, Any]) -> Spec:
    found = record["reference"]
    blocks = found["blocks"]
    return Spec(
        model_sha256=_text(record["model_sha256"]),
        features=tuple(_feature(item) for item in record["features"]),
        confidence=_truth(record["confidence"]),
        reference=Reference(
            rows=_count(found["rows"]),
            predictions=_count(found["predictions"]),
            timed=_count(found["timed"]),
            counts=tuple(map(_count, found["counts"])),
            sums=tuple(map(_whole, found["sums"])),
            blocks=Blocks(
                _text(blocks["unit"]), _text(blocks["by"]), _text(blocks["first"]), _text(blocks["last"]),
                tuple(map(_count, blocks["rows"])),
            ),
            learned={_text(name): _learned(item) for name, item in found["learned"].items()},
            devices=_count(found["devices"]),
            right=tuple((_count(labelled), _count(right)) for labelled, right in found["right"]),
        ),
        lineage=dict(record["lineage"]),
    )  # fmt: skip


def _feature(item: Mapping[str, Any]) -> Feature:
    source = Source(
        _text(item["name"]), _text(item.get("role", INPUT)), _text(item.get("tensor", item["name"])), _whole(item.get("index", 0)),
        _text(item.get("unit", "")),
    )  # fmt: skip
    if "edges" in item:
        return Numeric(
            source, tuple(map(_number, item["edges"])), _number(item["low"]), _number(item["high"]),
            _number(item["centre"]), _power_of_two(_whole(item["step"])),
        )  # fmt: skip
    if "categories" in item:
        return Categorical(source, tuple(map(_text, item["categories"])), tuple(map(_text, item["known"])))
    return Presence(source, _text(item["note"]))


def _learned(item: Any) -> Learned:
    level_sd, between_devices, lengths, effects = item
    thresholds = {}
    for length, (windows, distribution, missing, unseen) in lengths.items():
        thresholds[int(length)] = Threshold(_count(windows), _number(distribution), _number(missing), _number(unseen))
    decoded = base64.b64decode(_text(effects), validate=True)
    return Learned(thresholds, _number(level_sd), _number(between_devices), decoded)


def _wrong(spec: Spec) -> list[str]:
    """What cannot be true of a spec, in words."""
    names = [feature.source.name for feature in spec.features]
    found = [f"two features are named {name!r}" for name in _twice(names)]
    found += [f"a feature is named {name!r}, as a group of every profile" for name in names if name in RESERVED]
    if len(spec.model_sha256) != 64 or set(spec.model_sha256) - set("0123456789abcdef"):
        found.append(f"{spec.model_sha256!r} is no SHA-256 of a model")
    roles = [feature.source.role for feature in spec.features]
    found += [f"{role!r} is no role" for role in roles if role not in (INPUT, OUTPUT)]
    if roles != sorted(roles, key=(INPUT, OUTPUT).index if set(roles) <= {INPUT, OUTPUT} else None):
        found.append("an output stands before an input")
    for feature in spec.features:
        found += [f"feature {feature.source.name!r}: {said}" for said in _wrong_feature(feature)]
    return found or _wrong_reference(spec)


def _wrong_feature(feature: Feature) -> Iterable[str]:
    if isinstance(feature, Numeric):
        if not feature.edges:
            yield "it has no edges"
        if not all(map(math.isfinite, (*feature.edges, feature.centre, feature.step))):
            yield "an edge is not finite"
            return
        far = max((abs(edge - feature.centre) for edge in feature.edges), default=0.0) / feature.step
        if not far < MOST_STEPS:
            yield "an edge lies 2**31 steps or more from its centre: sums would overflow"
        if any(not below < above for below, above in itertools.pairwise(feature.edges)):
            yield "its edges are not increasing"
        if feature.low not in feature.edges or feature.high not in feature.edges or not feature.low < feature.high:
            yield "its range does not lie between two of its edges"
    if isinstance(feature, Categorical):
        yield from (f"it has the category {name!r} twice" for name in _twice((*feature.categories, *feature.known)))


def _wrong_reference(spec: Spec) -> list[str]:
    reference, layout = spec.reference, groups(spec)
    if len(reference.counts) != layout[-1].stop:
        return [f"it has {len(reference.counts)} reference counts, its features make {layout[-1].stop}"]
    if len(reference.sums) != len(spec.numeric):
        return [f"it has {len(reference.sums)} sums for {len(spec.numeric)} numeric features"]
    found = [f"reference: {said}" for said in faults(spec, reference_profile(spec, b""))]
    rows = sum(reference.blocks.rows)
    if rows != reference.rows:
        found.append(f"its blocks have {rows} rows, the reference has {reference.rows}")
    names = {feature.source.name for feature in spec.features} | set(RESERVED)
    for name, learned in reference.learned.items():
        if name not in names:
            found.append(f"it learned of {name!r}, which is no feature")
        if len(learned.effects) != len(reference.blocks.rows):
            found.append(
                f"{name!r} has effects of {len(learned.effects)} blocks, there are {len(reference.blocks.rows)}"
            )
    if reference.right and len(reference.right) != CONFIDENCE_CELLS:
        found.append(f"its labels stand in {len(reference.right)} cells of confidence, there are {CONFIDENCE_CELLS}")
    found += [
        f"{right} of {labelled} labelled rows are right" for labelled, right in reference.right if right > labelled
    ]
    return found


def reference_profile(spec: Spec, digest: bytes) -> Profile:
    """The reference's counters as a profile. digest: the first 16 bytes of the spec's."""
    reference = spec.reference
    return Profile(
        digest, bytes.fromhex(spec.model_sha256)[:16], b"", "", Window(0, 0, 0), reference.rows, reference.predictions,
        reference.timed, reference.counts, reference.sums,
    )  # fmt: skip


def _twice(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} stands where a text should")
    return value


def _power_of_two(exponent: int) -> float:
    """Its inverse, by which rows are counted, is a finite double too."""
    if not -1000 <= exponent <= 1000:
        raise ValueError(f"a step of 2**{exponent} is out of range")
    return math.ldexp(1.0, exponent)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} stands where true or false should")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} stands where a whole number should")
    return value


def _count(value: Any) -> int:
    if not 0 <= _whole(value) < LIMIT:
        raise ValueError(f"{value} is no count")
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} stands where a number should")
    if not math.isfinite(value):
        raise ValueError(f"{value} stands where a finite number should")
    return float(value)
