"""Writes the test vectors beside it: specs, rows, and the reports they give. `python -m tests.profiles.vectors.make`

`noisy.json` is a report with noise: {"spec" (name of a vector), "epsilon" (in millionths), "carried", "counts", "report", "id"}.

A vector is `<name>.spec.json` (a spec file) and `<name>.json`: rows, window, device, cohort, and the report and its id in
hexadecimal. Values are JSON's, but for doubles that JSON has not: {"double": "7ff8000000000000"}, the bits in hexadecimal.
"""

from __future__ import annotations

import json
import math
import random
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.noise import with_noise
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import (
    INPUT,
    OUTPUT,
    Blocks,
    Categorical,
    Feature,
    Numeric,
    Presence,
    Reference,
    Source,
    Spec,
)
from mlpack_edge.profiles.spec_file import digest, spec_from_bytes, spec_text
from mlpack_edge.profiles.wire.frame import read_frame
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.strategies import MODEL, spec_of

HERE = Path(__file__).parent
DEVICE = bytes(range(16))


@dataclass(frozen=True, slots=True)
class Vector:
    spec: Spec
    rows: list[dict[str, Any]]
    window: Window
    device: bytes
    cohort: str

    def profile(self) -> Profile:
        tally = Tally(self.spec)
        for row in self.rows:
            tally.add(**row)
        return tally.profile(digest(self.spec), self.window, device=self.device, cohort=self.cohort)

    def report(self) -> bytes:
        return ReportFormat(self.spec, digest(self.spec)).encode(self.profile())

    def texts(self) -> dict[str, str]:
        """What the files hold, by how their names end."""
        report = self.report()
        window = {"sequence": self.window.sequence, "start": self.window.start, "end": self.window.end}
        fields = {"window": window, "device": self.device.hex(), "cohort": self.cohort}
        found = {**fields, "report": report.hex(), "id": read_frame(report).id.hex()}
        rows = ",\n".join("  " + json.dumps(_plain(row)) for row in self.rows)
        body = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items())
        return {"spec.json": spec_text(self.spec), "json": f'{{\n "rows": [\n{rows}\n ],\n{body}\n}}\n'}


def read(name: str) -> tuple[Vector, bytes, bytes]:
    """A committed vector, its report, its id."""
    record = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"), object_hook=_double)
    spec = spec_from_bytes((HERE / f"{name}.spec.json").read_bytes())
    vector = Vector(spec, record["rows"], Window(**record["window"]), bytes.fromhex(record["device"]), record["cohort"])
    return vector, bytes.fromhex(record["report"]), bytes.fromhex(record["id"])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"double": struct.pack(">d", value).hex()}
    return value


def _double(record: dict[str, Any]) -> Any:
    return struct.unpack(">d", bytes.fromhex(record["double"]))[0] if set(record) == {"double"} else record


def counted(features: list[Feature], confidence: bool, rows: list[dict[str, Any]]) -> Spec:
    """A spec whose reference is the rows."""
    tally = Tally(spec_of(features, confidence=confidence))
    for row in rows:
        tally.add(**row)
    found = tally.profile(bytes(32), Window(0, 0, 0))
    blocks = Blocks("rows", "", "0", "0", (found.rows,))
    reference = Reference(found.rows, found.predictions, found.timed, found.counts, found.sums, blocks, {})
    return Spec(MODEL, tuple(features), confidence, reference, {})


def smallest() -> Vector:
    """The worked example of docs/profile-format.md."""
    reference: list[dict[str, Any]] = [
        {
            "inputs": [(-4.0, 7.0, 7.0, 12.0)[at % 4], "auto" if at % 8 else "off"],
            "outputs": [],
            "latency": (5_000_000, 6_500_000)[at % 2],
        }
        for at in range(64)
    ]
    spec = counted(
        [
            Numeric(Source("celsius", INPUT, unit="C"), (-10.0, 0.0, 10.0, 20.0, 30.0), 0.0, 20.0, 10.0, 0.015625),
            Categorical(Source("mode", INPUT), ("auto", "off"), ("eco",)),
        ],
        False,
        reference,
    )
    rows = [
        {"inputs": [12.5, "auto"], "outputs": [], "latency": 5_000_000},
        {"inputs": [-3.25, "off"], "outputs": [], "latency": 9_000_000},
        {"inputs": [None, "turbo"], "outcome": "refused"},
        *({"inputs": [7.0, "auto"], "outputs": [], "latency": 6_500_000} for _ in range(9)),
    ]
    return Vector(spec, rows, Window(3, 1_767_225_600, 1_767_229_200), DEVICE, "canary")


def every_kind() -> Vector:
    """Numbers, texts, truth values, free text, a label, confidence, a value, and whatever should not be there."""
    features: list[Feature] = [
        Numeric(Source("x", INPUT), (-4.0, -1.0, -0.0, 0.1, 1.0, 2.5, 8.0), -1.0, 2.5, 0.75, 2.0**-9),
        Numeric(Source("large", INPUT), (-5.0, 3.0, 2.0**53, 2.0**53 + 4, 2.0**54), -5.0, 2.0**54, 0.1, 2.0**40),
        Categorical(
            Source("text", INPUT), ("a", "", "true", "1", "0.1"), ("é", '"\\', "1e+16", "10000000000000000", "-3")
        ),
        Presence(Source("note", INPUT), "free text"),
        Categorical(Source("label", OUTPUT), ("no", "yes"), ()),
        Numeric(Source("value", OUTPUT), (0.0, 0.25, 0.5, 1.0), 0.0, 1.0, 0.5, 2.0**-10),
    ]
    spec = counted(features, True, _any_rows(random.Random(6), 200))
    return Vector(spec, _any_rows(random.Random(7), 80), Window(2**40, 0, 2**48 - 1), b"", "")


def _any_rows(generator: random.Random, count: int) -> list[dict[str, Any]]:
    numbers = [math.nan, math.inf, -math.inf, -0.0, 0.1, 1.0, 1e300, 5e-324, -1e-9, None, "1.5", True, 2**53 + 3, -7, 3]
    texts = [
        "a",
        "",
        "true",
        True,
        False,
        1,
        1.0,
        "1.0",
        0.1,
        "é",
        '"\\',
        1e16,
        -3,
        "?",
        None,
        math.nan,
        math.inf,
        2**62,
    ]
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        inputs = [generator.choice([*numbers, generator.gauss(0, 2)]) for _ in range(2)]
        row: dict[str, Any] = {"inputs": [*inputs, generator.choice(texts), generator.choice(["free", None])]}
        row["latency"] = generator.choice([None, 0, generator.getrandbits(generator.randrange(1, 63))])
        if generator.random() < 0.8:
            sure = generator.random()
            row["outputs"] = [
                generator.choice(["no", "yes", "maybe"]),
                generator.choice([*numbers, generator.random()]),
            ]
            row["probabilities"] = generator.choice([[sure, 1 - sure], [sure], [sure / 2, math.nan, 1 / 3]])
        else:
            row["outcome"] = generator.choice(["not run", "refused", "failed"])
        rows.append(row)
    return rows


def shifted() -> Vector:
    """Rows that are like the reference in one feature and in nothing else: parameters of both families."""
    edges = tuple(number / 4 for number in range(-12, 13))
    names = ("like", "warmer", "unit", "still")
    features: list[Feature] = [Numeric(Source(name, INPUT), edges, -2.0, 2.0, 0.0, 2.0**-8) for name in names]
    generator = random.Random(11)
    reference, rows = list[dict[str, Any]](), list[dict[str, Any]]()
    for _ in range(1000):
        x = generator.gauss(0, 1)
        reference.append({"inputs": [x] * 4, "outputs": [], "latency": 10**6})
    for _ in range(300):
        x = round(generator.gauss(0, 1), 2)
        inputs = [x, x + 1.5, round(1.8 * x + 32, 2), 0.5]
        rows.append({"inputs": inputs, "outputs": [], "latency": generator.randrange(10**8)})
    return Vector(counted(features, False, reference), rows, Window(0, 1_700_000_000, 1_700_000_000), DEVICE, "a" * 32)


def noisy() -> str:
    """The text of noisy.json: the worked example with noise, by a generator that is no secret."""
    vector = smallest()
    profile = with_noise(vector.spec, vector.profile(), 500_000, random.Random(1).randrange)
    report = ReportFormat(vector.spec, digest(vector.spec)).encode(profile)
    found = {
        "spec": "smallest", "epsilon": profile.epsilon, "carried": profile.carried, "counts": profile.counts,
        "report": report.hex(), "id": read_frame(report).id.hex(),
    }  # fmt: skip
    return "{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in found.items()) + "\n}\n"


VECTORS = {"smallest": smallest, "every-kind": every_kind, "shifted": shifted}


if __name__ == "__main__":
    (HERE / "noisy.json").write_text(noisy(), encoding="utf-8")
    for vector, made in VECTORS.items():
        for ending, content in made().texts().items():
            (HERE / f"{vector}.{ending}").write_text(content, encoding="utf-8")
