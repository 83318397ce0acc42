"""Columns and rows are counted alike, whatever they hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.arrays.counting import Coded, ColumnTally
from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.profile import Profile, faults
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Categorical, Numeric, Presence, Source, Spec
from tests.profiles.strategies import DIGEST, FLOATS, TEXTS, VALUES, WINDOW, spec_of, specs

COLUMN_DTYPES = st.one_of(
    npst.floating_dtypes(sizes=(16, 32, 64)),
    npst.integer_dtypes(),
    npst.unsigned_integer_dtypes(),
    npst.boolean_dtypes(),
    st.just(np.dtype(np.longdouble)),
    npst.datetime64_dtypes(),
    npst.complex_number_dtypes(),
    npst.unicode_string_dtypes(max_len=3),
    npst.byte_string_dtypes(max_len=3),
)


def by_rows(spec: Spec, columns: list[Any], rows: int, **answers: Any) -> Profile:
    tally = Tally(spec)
    for row in range(rows):
        tally.add(
            [value(column, row) for column in columns],
            **{name: None if given is None else given[row] for name, given in answers.items()},
        )
    return tally.profile(DIGEST, WINDOW)


def value(column: Any, row: int) -> object:
    if isinstance(column, Coded):
        return column.values[column.codes[row]] if column.codes[row] >= 0 else None
    return column[row]


@st.composite
def columns(draw: st.DrawFn, rows: int) -> Any:
    kind = draw(st.sampled_from(["array", "objects", "list", "coded", "texts", "floats"]))
    if kind == "array":
        return draw(npst.arrays(COLUMN_DTYPES, rows))
    if kind == "coded":
        values = draw(st.lists(VALUES, max_size=4))
        return Coded(
            np.array(draw(st.lists(st.integers(-1, len(values) - 1), min_size=rows, max_size=rows)), np.int8), values
        )
    of = {"texts": TEXTS, "floats": FLOATS}.get(kind, VALUES)
    found = draw(st.lists(of, min_size=rows, max_size=rows))
    if kind == "list":
        return found
    if kind == "floats":
        return np.array(found, np.float64)
    made = np.empty(rows, object)
    for place, item in enumerate(found):
        made[place] = item
    return made


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(specs(), st.data())
def test_columns_and_rows_are_counted_alike(spec: Spec, data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 6))
    inputs, outputs = (
        [data.draw(columns(rows)) for feature in spec.features if feature.source.role == role]
        for role in (INPUT, OUTPUT)
    )
    probabilities = (
        data.draw(npst.arrays(np.float32, (rows, data.draw(st.integers(1, 3))))) if spec.confidence else None
    )
    latency = data.draw(npst.arrays(np.int64, rows, elements=st.integers(0, 2**63 - 1)))
    tally = ColumnTally(spec)
    tally.add(inputs, outputs, rows=rows, probabilities=probabilities, latency=latency)
    row_outputs = [[value(column, row) for column in outputs] for row in range(rows)]
    ours = tally.profile(DIGEST, WINDOW)
    assert ours == by_rows(
        spec, inputs, rows, outputs=row_outputs, probabilities=probabilities, latency=latency.tolist()
    )
    assert faults(spec, ours) == []


def test_a_hundred_thousand_ordinary_rows_are_counted_alike() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=100_000)
    values[::50] = np.nan
    texts = np.array(["a", "b", "c", None], object)[generator.integers(0, 4, len(values))]
    edges = tuple(np.round(np.quantile(values[~np.isnan(values)], np.linspace(0.001, 0.999, 40)), 3).tolist())
    number = Numeric(Source("x", INPUT), edges, edges[0], edges[-1], 0.0, 2.0**-8)
    spec = spec_of(
        [number, Categorical(Source("t", INPUT), ("a",), ("b",)), Presence(Source("id", INPUT), "")], confidence=False
    )
    tally = ColumnTally(spec)
    for part in np.array_split(np.arange(len(values)), 3):
        tally.add([values[part], texts[part], texts[part]], rows=len(part))
    assert tally.profile(DIGEST, WINDOW) == by_rows(
        spec, [values.tolist(), texts.tolist(), texts.tolist()], len(values)
    )


def test_rows_that_were_not_answered_have_no_outputs_and_absent_columns_are_missing() -> None:
    label = Categorical(Source("label", OUTPUT), ("cat",), ())
    spec = spec_of([Categorical(Source("t", INPUT), ("a",), ()), label], confidence=True)
    rows, batch = Tally(spec), ColumnTally(spec)
    rows.add(["a"], ["cat"], probabilities=[1.0, 0.0])
    rows.add({}, outcome="refused")
    batch.add([["a"]], {"label": ["cat"]}, rows=1, probabilities=np.array([[1.0, 0.0]]))
    batch.add({}, rows=1, outcomes={"refused": 1})
    assert rows.profile(DIGEST, WINDOW) == batch.profile(DIGEST, WINDOW)


@pytest.mark.parametrize(
    ("batch", "what"),
    [
        ({"inputs": [["a"]], "rows": 2}, "'t' has the shape"),
        ({"inputs": [["a"], ["b"]], "rows": 1}, "2 columns"),
        ({"inputs": [["a"]], "outputs": [["cat"]], "rows": 1}, "probabilities were not given"),
        ({"inputs": [["a"]], "rows": 1, "outcomes": {"refused": 2}}, "does not say how 1 rows ended"),
        ({"inputs": [["a"]], "rows": 1, "outcomes": {"lost": 1}}, "does not say how 1 rows ended"),
        ({"inputs": [["a"]], "rows": 1, "latency": np.array([-1])}, "latency"),
        ({"inputs": [["a"]], "rows": 1, "latency": np.array([1.5])}, "latency"),
        ({"inputs": [Coded(np.array([1]), ["a"])], "rows": 1}, "code 1"),
        ({"inputs": [np.ma.masked_array([1.0], [True])], "rows": 1}, "'t' is a masked array"),
        ({"inputs": [["a"]], "rows": 1, "latency": np.array([1, 2])}, "2 calls were timed, of 1 rows"),
        ({"inputs": [["a"]], "rows": 1, "probabilities": np.ones((1, 2))}, "0 columns"),
        ({"inputs": [["a"]], "outputs": [], "rows": 1, "probabilities": np.ones((1, 2))}, "0 columns"),
        ({"inputs": [["a"]], "outputs": [["cat"]], "rows": 1, "probabilities": np.array([["x"]])}, "an array of <U1"),
        ({"inputs": [["a"]], "outputs": [["cat"]], "rows": 1, "probabilities": np.array([["x"]], object)}, "of object"),
        ({"inputs": [["a"]], "outputs": [["cat"]], "rows": 1, "probabilities": np.ones((1, 2, 2))}, "1, 2, 2"),
        (
            {"inputs": [["a"]], "outputs": [["cat"]], "rows": 1, "probabilities": np.ones((2, 2))},
            "probabilities of 2 rows",
        ),
    ],
)
def test_columns_that_contradict_each_other_are_refused_and_not_counted(batch: dict[str, Any], what: str) -> None:
    spec = spec_of(
        [Categorical(Source("t", INPUT), ("a",), ()), Categorical(Source("label", OUTPUT), ("cat",), ())],
        confidence=True,
    )
    tally = ColumnTally(spec)
    with pytest.raises(BadInput, match=what):
        tally.add(**batch)
    assert (tally.rows, set(tally.profile(DIGEST, WINDOW).counts)) == (0, {0})
