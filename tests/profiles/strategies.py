"""Specs, rows and profiles for hypothesis, and a spec of a plain shape made from plain data."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from mlpack_edge.profiles.layout import PREDICTIONS, ROWS, Group, groups
from mlpack_edge.profiles.profile import Profile, Window
from mlpack_edge.profiles.spec import (
    INPUT,
    OUTCOMES,
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

DIGEST = bytes(range(32))
MODEL = "ab" * 32
DEVICE = bytes(range(100, 116))
WINDOW = Window(7, 1_700_000_000, 1_700_086_400)

#: Texts that are in vocabularies, and texts that look like what numbers and truth values are looked up as.
TEXTS = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "",
        "true",
        "false",
        "True",
        "1",
        "1.0",
        "0",
        "-3",
        "0.1",
        "1e+16",
        "10000000000000000",
        "inf",
        "nan",
        "é",
        "日本",
    ]
) | st.text(max_size=4).filter(lambda text: "\0" not in text and text.isprintable())
FLOATS = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, -0.0, 1e308, -1e308, 5e-324, 2.0**53, 0.1]
)
INTEGERS = (
    st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53 + 1, 2**53 + 3, 10**400, -(10**400)])
)
#: What a row may hold: the expected, the missing, and what should not be there.
VALUES: st.SearchStrategy[object] = st.one_of(
    FLOATS,
    FLOATS.map(np.float64),
    st.floats(width=32).map(np.float32),
    INTEGERS,
    st.integers(-5, 5).map(np.int8),
    st.booleans(),
    st.booleans().map(np.bool_),
    TEXTS,
    TEXTS.map(lambda text: text.encode()),
    st.sampled_from(
        [None, Decimal("1.5"), Decimal("NaN"), Decimal("sNaN"), Fraction(1, 3), Fraction(10**400), 1 + 2j, [], [1.0]]
    ),
    st.sampled_from([np.datetime64("2020-01-01"), np.datetime64("NaT"), np.array(1.5), np.array([1.5]), object]),
)


@st.composite
def numerics(draw: st.DrawFn, source: Source) -> Numeric:
    """Edges that include integers beyond 2**53 and neighbours among the doubles."""
    near = st.floats(-100, 100) | st.sampled_from(
        [0.0, 0.1, 1.0, 2.0**53, 2.0**53 + 2, 2.0**53 + 4, 5e-324, math.nextafter(0.1, 1)]
    )
    edges = tuple(sorted(draw(st.sets(near, min_size=2, max_size=12))))
    low, high = edges[0], edges[-1]
    step = 2.0 ** max(math.floor(math.log2(high - low)) - 10, -900) if high > low else 1.0
    return Numeric(source, edges, low, high, draw(st.sampled_from([low, 0.0 if low <= 0 <= high else low, high])), step)


@st.composite
def categoricals(draw: st.DrawFn, source: Source) -> Categorical:
    texts = draw(st.lists(TEXTS, unique=True, max_size=8))
    cut = draw(st.integers(0, len(texts)))
    return Categorical(source, tuple(texts[:cut]), tuple(texts[cut:]))


@st.composite
def features(draw: st.DrawFn, name: str, role: str) -> Feature:
    source = Source(name, role)
    return draw(
        st.one_of(numerics(source), categoricals(source), st.just(Presence(source, "free text")))  # type: ignore[arg-type]
    )


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any features and outputs, with a reference of any shares."""
    inputs = [draw(features(f"input {number}", INPUT)) for number in range(draw(st.integers(0, 4)))]
    outputs = [draw(features(f"output {number}", OUTPUT)) for number in range(draw(st.integers(0, 2)))]
    bare = spec_of([*inputs, *outputs], confidence=draw(st.booleans()))
    parts = groups(bare)
    counts: list[int] = []
    for part in parts:
        largest = draw(st.sampled_from([0, 1, 10, 100_000]))
        counts += draw(st.lists(st.integers(0, largest), min_size=part.size, max_size=part.size))
    return spec_of(bare.features, confidence=bare.confidence, counts=tuple(counts))


def spec_of(features: list[Feature] | tuple[Feature, ...], *, confidence: bool, counts: tuple[int, ...] = ()) -> Spec:
    """A spec around features, its reference counts 1 a cell where none are given."""
    numbers = sum(isinstance(feature, Numeric) for feature in features)
    blocks = Blocks("day", "date", "2020-01-01", "2020-01-02", (1, 1))
    reference = Reference(2, 2, 2, counts, (0,) * numbers, blocks, {})
    made = Spec(MODEL, tuple(features), confidence, reference, {})
    if counts:
        return made
    return spec_of(features, confidence=confidence, counts=(1,) * groups(made)[-1].stop)


@st.composite
def profiles(draw: st.DrawFn, spec: Spec) -> Profile:
    """A sound profile of any counts, from none to the largest that a report carries, or one with noise in any groups."""
    most = draw(st.sampled_from([0, 5, 1000, 70_000, 2**33, 2**48 - 1]))
    noisy = draw(st.integers(0, 5)) == 0
    rows = 0 if noisy else draw(st.integers(0, most))
    answered = draw(st.integers(0, rows))
    timed = 0 if noisy else draw(st.integers(0, most))
    counts: list[int] = []
    parts = groups(spec)
    reports = st.lists(st.sampled_from([0, 0, 1, 2, 255, 256, 2**48 - 1]), min_size=len(parts), max_size=len(parts))
    carried = draw(reports.filter(any)) if noisy else []
    for place, part in enumerate(parts):
        total = {ROWS: rows, PREDICTIONS: answered}.get(part.total, timed)
        if noisy:
            largest = draw(st.sampled_from([0, 3, 2**48 - 1])) if carried[place] else 0
            counts += draw(st.lists(st.integers(-largest, largest), min_size=part.size, max_size=part.size))
        elif part.name == "outcome":
            counts += [answered, *parted(draw, rows - answered, len(OUTCOMES) - 1)]
        else:
            counts += parted(draw, total, part.size)
    number = st.integers(0, 30) | st.integers(0, 2**48 - 1)
    start, end = sorted((draw(number), draw(number)))
    return Profile(
        spec=DIGEST[:16],
        model=bytes.fromhex(MODEL)[:16],
        device=draw(st.sampled_from([b"", DEVICE])),
        cohort=draw(st.text(alphabet="abcz019._-", max_size=32)),
        window=Window(draw(number), start, end),
        rows=rows,
        predictions=answered,
        timed=timed,
        counts=tuple(counts),
        sums=tuple(
            0 if noisy else draw(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300)) for _ in spec.numeric
        ),
        epsilon=draw(st.integers(1, 2**40)) if noisy else 0,
        carried=tuple(carried),
    )


def parted(draw: st.DrawFn, total: int, size: int) -> list[int]:
    """Counters that sum to the total: spread, or in few cells."""
    cuts = sorted(draw(st.lists(st.integers(0, total), min_size=size - 1, max_size=size - 1)))
    return [after - before for before, after in zip([0, *cuts], [*cuts, total], strict=True)]


def group_of(spec: Spec, name: str) -> Group:
    return next(part for part in groups(spec) if part.name == name)
