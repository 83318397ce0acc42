"""What is gathered piece by piece is what the whole table says, exactly."""

from __future__ import annotations

import json
import math
from functools import reduce
from itertools import pairwise
from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.contract.checker import RowChecker
from mlpack_edge.batch.contract.columns import Views
from mlpack_edge.batch.contract.merging import KEPT, merge_statistics
from mlpack_edge.batch.contract.statistics import ContractStatistics
from tests.batch.contract.gathering import (
    FLIGHTS,
    contract,
    gathered,
    two_days,
)


@pytest.fixture(scope="module")
def flights() -> pyarrow.Table:
    return two_days()


def test_columns_that_are_looked_at_once_give_the_same(flights: pyarrow.Table) -> None:
    """The checker and the statistics of a shard share what they make of a batch."""
    text = FLIGHTS + '[columns.distance]\nmin = 500\n[columns.dest]\nnulls = "reject"\npattern = "[A-M].*"\n'
    agreed, schema = contract(text), flights.schema
    shared = Views()
    together = (RowChecker(agreed, schema, shared), ContractStatistics(agreed, schema, shared))
    apart = (RowChecker(agreed, schema), ContractStatistics(agreed, schema))
    for batch in flights.to_batches(max_chunksize=3_000):
        outputs = {name: batch.column(name) for name in ("label", "probabilities", "expected")}
        codes = []
        for checker, statistics in (together, apart):
            findings = checker.check(batch)
            statistics.update(batch, outputs, findings)
            codes.append(findings.codes.tolist())
        assert codes[0] == codes[1]
        assert any(codes[0])
    assert together[1].state() == apart[1].state()


VALUES = st.lists(
    st.tuples(
        st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5, -3.0]),
        st.sampled_from([None, "a", "b", "ü", "z" * 100, "z" * 99 + "y", *(f"v{place}" for place in range(40))]),
        st.sampled_from([None, 0, 5, 10**9]),
        st.sampled_from([0.0, -0.0, 0.25, 7.0]),
    ),
    max_size=60,
)  # fmt: skip
MIXED = """
[freshness]
column = "t"
max_age = "1h"
[columns.x]
nulls = "1%"
max_zero_share = "1%"
constant = false
[columns.c]
categories = ["a", "b"]
max_categories = 10
unseen = "allow"
[scores.s]
constant = false
[scores.v]
constant = false
shares = { "7" = ["0%", "100%"] }
"""


@settings(max_examples=150, deadline=None)
@given(VALUES, st.lists(st.integers(0, 60), max_size=4), st.booleans())
def test_pieces_merge_into_what_the_whole_table_says(rows: list[Any], cuts: list[int], coded: bool) -> None:
    """Exact, whatever the batches and shards: counts, extremes, distinct values, also where these are too many."""
    xs, cs, ts, ss = zip(*rows, strict=True) if rows else ((), (), (), ())
    texts = pyarrow.array(cs, pyarrow.string())
    table = pyarrow.record_batch({
        "x": pyarrow.array(xs, pyarrow.float64()),
        "c": texts.dictionary_encode() if coded else texts,
        "t": pyarrow.array(ts, pyarrow.timestamp("ms")),
    })  # fmt: skip
    flat = pyarrow.array([number for s in ss for number in (s, 1.0)], pyarrow.float32())
    scores = {"s": pyarrow.FixedSizeListArray.from_arrays(flat, 2), "v": pyarrow.array(ss, pyarrow.float64())}
    ends = sorted({min(cut, len(rows)) for cut in cuts} | {0, len(rows)})
    pieces = list(pairwise(ends))
    states = [
        gathered(MIXED, [table.slice(a, b - a)], [{name: array.slice(a, b - a) for name, array in scores.items()}])
        for a, b in pieces
    ]
    whole = gathered(MIXED, [table], [scores])
    merged = reduce(merge_statistics, states, {})
    assert json.dumps(merged, sort_keys=True) == json.dumps(whole if states else {}, sort_keys=True)
    if len(states) > 2:
        a, b, c = states[:3]
        assert merge_statistics(merge_statistics(a, b), c) == merge_statistics(a, merge_statistics(b, c))
    there = [c for c in cs if c is not None]
    assert whole["columns"]["c"]["unseen"] == sum(c not in ("a", "b") for c in there)
    assert len(whole["columns"]["c"]["values"]["of"]) == len(set(there))
    assert whole["columns"]["x"]["zeros"] == sum(x == 0 for x in xs)
    assert whole["newest"] == max((t * 10**6 for t in ts if t is not None), default=None)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=300),
    st.integers(1, 299),
    st.sampled_from(["v{}", "w" * 70 + "{}", "x" * 90 + "{}"]),
)
def test_of_too_many_values_the_first_few_are_kept_exactly(numbers: list[int], cut: int, form: str) -> None:
    """Memory is bounded, and what is left does not depend on how the rows were cut; long texts stay apart."""
    text = '[columns.c]\ncategories = ["a"]\nunseen = "allow"'
    values = [form.format(number) for number in numbers]
    pieces = [values[:cut], values[cut:]]
    batches = [pyarrow.record_batch({"c": pyarrow.array(piece, pyarrow.string())}) for piece in pieces]
    strange = gathered(text, batches)["columns"]["c"]["strange"]
    assert (
        strange == reduce(merge_statistics, [gathered(text, [batch]) for batch in batches])["columns"]["c"]["strange"]
    )
    assert strange["many"] == (len(set(values)) > KEPT)
    if strange["many"]:
        assert len(strange["of"]) == 5
        if len(values[0]) <= 80:
            first = sorted(set(values))[:5]
            assert strange["of"] == {value: values.count(value) for value in first}


def test_dictionaries_of_one_length_are_not_taken_for_the_same() -> None:
    text = "[columns.c]\nmax_categories = 9"
    batches = [
        pyarrow.record_batch({"c": pyarrow.array(list(letters)).dictionary_encode()}) for letters in ("ab", "ba", "cdd")
    ]
    assert gathered(text, batches)["columns"]["c"]["values"]["of"] == {"a": 2, "b": 2, "c": 1, "d": 2}


def test_too_many_values_stay_too_many_and_the_first_of_them_are_counted_to_the_end() -> None:
    """Also where they were too many in one piece only."""
    text = '[columns.c]\ncategories = ["?"]\nunseen = "allow"'
    many = [f"v{place:03}" for place in range(KEPT + 1)]
    pieces = [many, ["v002", "v004", "v004", "v090"], ["a", "v000"]]
    batches = [pyarrow.record_batch({"c": pyarrow.array(piece)}) for piece in pieces]
    expected = {"limit": KEPT, "many": True, "of": {"a": 1, "v000": 2, "v001": 1, "v002": 2, "v003": 1}}
    assert gathered(text, batches)["columns"]["c"]["strange"] == expected
    for order in ([0, 1, 2], [2, 0, 1]):
        states = [gathered(text, [batches[place]]) for place in order]
        assert reduce(merge_statistics, states)["columns"]["c"]["strange"] == expected


def test_long_texts_that_begin_alike_stay_apart() -> None:
    batch = pyarrow.record_batch({"c": pyarrow.array(["z" * 100, "z" * 99 + "y", "z" * 100])})
    counts = gathered("[columns.c]\nmax_categories = 9", [batch])["columns"]["c"]["values"]["of"]
    assert sorted(counts.values()) == [1, 2]
    assert all(len(text) <= 80 for text in counts)
