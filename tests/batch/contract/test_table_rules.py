"""Table rules: what was gathered piece by piece is what the whole table says, and each damage is found and named."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.contract.checker import RowChecker
from mlpack_edge.batch.contract.columns import Views
from mlpack_edge.batch.contract.contract import contract_from_text
from mlpack_edge.batch.contract.judging import judge
from mlpack_edge.batch.contract.merging import KEPT, merge_statistics
from mlpack_edge.batch.contract.schema import check_schema
from mlpack_edge.batch.contract.statistics import ContractStatistics
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.core.errors import BadInput

ROOT = Path(__file__).parents[3]
NOW = datetime(2013, 1, 3, 2, tzinfo=UTC)
FLIGHTS = """
[rows]
min = 5_000
max = 50_000
within = "50%"
[freshness]
column = "departed_at"
max_age = "36h"
max_ahead = "1h"
[columns.carrier]
nulls = "1%"
categories = ["9E", "AA", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "UA", "US", "VX", "WN", "AS", "YV", "OO"]
unseen = "1%"
max_categories = 20
[columns.origin]
categories = ["EWR", "JFK", "LGA"]
unseen = "allow"
max_categories = 6
constant = false
[columns.dep_delay]
nulls = "5%"
max_zero_share = "50%"
constant = false
[scores.label]
shares = { "0" = ["10%", "90%"] }
[scores.probabilities]
min = -0.001
max = 1.001
constant = false
[scores.expected]
max_zero_share = "50%"
constant = false
"""


def contract(text: str) -> Any:
    return contract_from_text("schema = 1\n" + text, "c.toml")


def gathered(
    text: str, batches: Sequence[pyarrow.RecordBatch], outputs: Sequence[dict[str, Any]] | None = None,
    accepted: Sequence[Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The state over all batches, after a journey as JSON."""
    collector = ContractStatistics(contract(text), batches[0].schema)
    for place, batch in enumerate(batches):
        taken = np.ones(batch.num_rows, np.bool_) if accepted is None else np.asarray(accepted[place], np.bool_)
        collector.update(batch, outputs[place] if outputs else {}, taken)
    state: dict[str, Any] = json.loads(json.dumps(collector.state(), allow_nan=False))
    return state


def reasons(text: str, state: dict[str, Any], **given_too: Any) -> list[str]:
    facts = RunFacts(given_too.pop("rows", state.get("rows", 0)), 0, 0, {}, ())
    previous = given_too.pop("previous", None)
    verdict = judge(contract(text), state, facts, previous, given_too.pop("now", NOW), **given_too)
    assert verdict.passed == (not verdict.reasons)
    return list(verdict.reasons)


def column_reasons(rules: str, array: Any) -> list[str]:
    """Of a table with the one column `x`."""
    text = f"[columns.x]\n{rules}"
    return reasons(text, gathered(text, [pyarrow.record_batch({"x": array})]))


def score_reasons(rules: str, array: Any) -> list[str]:
    text = f"[scores.s]\n{rules}"
    batch = pyarrow.record_batch({"x": pyarrow.nulls(len(array))})
    return reasons(text, gathered(text, [batch], [{"s": array}]))


@pytest.fixture(scope="module")
def flights() -> pyarrow.Table:
    """Two days' worth of rows, and scores as a model would give them."""
    table = pyarrow.parquet.read_table(ROOT / "cli/demo_data/flights.parquet").slice(0, 10_000)
    begin = datetime(2013, 1, 1)
    times = [begin + timedelta(seconds=17 * place) for place in range(len(table))]
    chances = np.linspace(0.01, 0.9, len(table), dtype=np.float32)
    both = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.stack([1 - chances, chances], 1).ravel()), 2)
    return (
        table.append_column("departed_at", pyarrow.array(times, pyarrow.timestamp("us")))
        .append_column("label", pyarrow.array((chances > 0.5).astype(np.int64)))
        .append_column("probabilities", both)
        .append_column("expected", pyarrow.array(chances.astype(np.float64) * 100))
    )


def judged(table: pyarrow.Table, **given_too: Any) -> list[str]:
    """The reasons against a table of flights, gathered in shards of several batches each."""
    states = []
    for start in range(0, len(table), 3_000):
        batches = table.slice(start, 3_000).combine_chunks().to_batches(max_chunksize=1_024)
        outputs = [{name: batch.column(name) for name in ("label", "probabilities", "expected")} for batch in batches]
        states.append(gathered(FLIGHTS, batches, outputs))
    return reasons(FLIGHTS, reduce(merge_statistics, states, {}), **given_too)


def changed(table: pyarrow.Table, name: str, values: Any) -> pyarrow.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def test_a_clean_night_passes(flights: pyarrow.Table) -> None:
    assert judged(flights, previous={"rows": 9_000}) == []


def test_suddenly_all_zeros_is_found(flights: pyarrow.Table) -> None:
    said = judged(changed(flights, "dep_delay", pyarrow.array(np.zeros(10_000, np.int16))))
    assert said == [
        "column 'dep_delay', max_zero_share: all 10,000 values are zero; allowed are 50%",
        "column 'dep_delay', constant: every one of 10,000 values is 0",
    ]


def test_zeros_in_a_part_of_the_rows_are_found(flights: pyarrow.Table) -> None:
    delays = np.where(np.arange(10_000) < 6_000, 0.0, 5.5)
    said = judged(changed(flights, "dep_delay", pyarrow.array(delays)))
    assert said == ["column 'dep_delay', max_zero_share: 6,000 of 10,000 values (60%) are zero; allowed are 50%"]


def test_three_categories_that_became_fifty_are_found(flights: pyarrow.Table) -> None:
    origins = flights["origin"].to_pylist()
    mixed = [origin if place % 10 else f"X{place // 10 % 47:02}" for place, origin in enumerate(origins)]
    (said,) = judged(changed(flights, "origin", pyarrow.array(mixed)))
    assert said.startswith("column 'origin', max_categories: 50 different values; allowed are 6; found 'EWR' (")


def test_an_encoding_that_changed_is_found(flights: pyarrow.Table) -> None:
    codes = {"EWR": "0", "JFK": "1", "LGA": "2"}
    anew = pyarrow.array([codes[origin] for origin in flights["origin"].to_pylist()]).dictionary_encode()
    (said,) = judged(changed(flights, "origin", anew))
    assert said.startswith("column 'origin', encoding: every value is outside the 3 known categories (EWR, JFK, LGA)")
    assert "was it encoded anew? found '0' (" in said
    assert "'1' (" in said and "'2' (" in said


def test_an_encoding_that_changed_in_all_but_a_few_rows_is_found() -> None:
    array = pyarrow.array(["EWR"] + ["0", "1"] * 100)
    (said,) = column_reasons('categories = ["EWR"]\nunseen = "allow"', array)
    assert "200 of 201 values (99.5%), nearly all, are outside the 1 known categories" in said
    assert column_reasons('categories = ["EWR"]\nunseen = "allow"', pyarrow.array(["EWR"] * 3 + ["0", "1"] * 100)) == []


def test_too_few_values_are_not_called_an_encoding() -> None:
    """A file of one row with a new category is no sign that all was encoded anew."""
    assert column_reasons('categories = ["EWR"]\nunseen = "allow"', pyarrow.array(["0"] * 19)) == []
    assert len(column_reasons('categories = ["EWR"]\nunseen = "allow"', pyarrow.array(["0"] * 20))) == 1


def test_nulls_and_unseen_values_are_counted_apart(flights: pyarrow.Table) -> None:
    carriers: list[str | None] = flights["carrier"].to_pylist()
    with_nulls = [None if place % 40 == 0 else carrier for place, carrier in enumerate(carriers)]
    assert judged(changed(flights, "carrier", pyarrow.array(with_nulls))) == [
        "column 'carrier', nulls: 250 of 10,000 rows (2.5%) are null; allowed are 1%"
    ]
    with_strangers = ["ZZ" if place % 40 == 0 else carrier for place, carrier in enumerate(carriers)]
    (said,) = judged(changed(flights, "carrier", pyarrow.array(with_strangers)))
    assert said == (
        "column 'carrier', unseen: 250 of 10,000 values (2.5%) are none of the known categories; allowed are 1%; "
        "found 'ZZ' (250)"
    )


def test_a_column_that_became_null_is_found() -> None:
    assert column_reasons('nulls = "5%"', pyarrow.nulls(30, pyarrow.string())) == [
        "column 'x', nulls: all 30 rows are null; allowed are 5%"
    ]
    assert column_reasons('nulls = "5%"', pyarrow.array([math.nan] * 2 + [1.0] * 30)) == [
        "column 'x', nulls: 2 of 32 rows (6.25%) are null; allowed are 5%"
    ]
    assert column_reasons("constant = false", pyarrow.nulls(30)) == ["column 'x', constant: all 30 rows are null"]


@pytest.mark.parametrize(
    "array",
    [
        pyarrow.array([7] * 20), pyarrow.array([-0.0, 0.0] * 10), pyarrow.array(["a"] * 20), pyarrow.array([True] * 20),
        pyarrow.array(["a"] * 20).dictionary_encode(), pyarrow.array([datetime(2013, 1, 1)] * 20),
        pyarrow.array([None] * 5 + [1.5] * 20),
    ],
)  # fmt: skip
def test_a_column_that_became_constant_is_found(array: Any) -> None:
    (said,) = column_reasons("constant = false", array)
    assert said.startswith("column 'x', constant: every one of 20 values is")
    assert column_reasons("constant = false", array.slice(0, 19)) == []


def test_a_row_count_that_fell_to_a_tenth_is_found(flights: pyarrow.Table) -> None:
    assert judged(flights.slice(0, 1_000), previous={"rows": 10_000}, now=datetime(2013, 1, 2, tzinfo=UTC))[:2] == [
        "rows, min: the input has 1,000 rows, and is to have 5,000 at least",
        "rows, within: the input has 1,000 rows, the last run's had 10,000, a change of 90%; allowed is 50%",
    ]
    assert reasons(FLIGHTS.replace("departed_at", "x"), {}, rows=60_000)[0] == (
        "rows, max: the input has 60,000 rows, and is to have 50,000 at most"
    )


def test_rows_may_differ_by_the_share_itself() -> None:
    rule = '[rows]\nwithin = "50%"'
    assert [bool(reasons(rule, {}, rows=rows, previous={"rows": 10})) for rows in (4, 5, 15, 16)] == [
        True,
        False,
        False,
        True,
    ]
    assert reasons(rule, {}, rows=1, previous={"rows": 0}) != []
    assert reasons(rule, {}, rows=1, previous=None) == []


def test_stale_data_are_found(flights: pyarrow.Table) -> None:
    (said,) = judged(flights, now=datetime(2013, 1, 5, tzinfo=UTC))
    assert said == (
        "freshness, max_age: the newest value of 'departed_at' is of 2013-01-02 23:13 UTC, 2.033 days old; allowed are 36 h"
    )
    (ahead,) = judged(flights, now=datetime(2013, 1, 2, 20, tzinfo=UTC))
    assert "3.217 h ahead; allowed are 60 min" in ahead


def test_times_without_a_zone_are_of_the_zone_that_the_contract_names() -> None:
    text = '[freshness]\ncolumn = "t"\nmax_age = "2h"\n'
    batch = pyarrow.record_batch({"t": pyarrow.array([datetime(2013, 1, 1, 12)], pyarrow.timestamp("s"))})
    now = datetime(2013, 1, 1, 18, tzinfo=UTC)
    assert len(reasons(text, gathered(text, [batch]), now=now)) == 1
    text += 'timezone = "America/New_York"\n'
    assert reasons(text, gathered(text, [batch]), now=now) == []


@pytest.mark.parametrize(
    "kind",
    [pyarrow.date32(), pyarrow.date64(), *(pyarrow.timestamp(unit) for unit in ("s", "ms", "us", "ns")), pyarrow.timestamp("s", "UTC")],
)  # fmt: skip
def test_the_newest_value_is_found_in_every_type_of_time(kind: Any) -> None:
    text = '[freshness]\ncolumn = "t"\nmax_age = "36h"'
    values = pyarrow.array([None, datetime(2013, 1, 1), datetime(2012, 5, 1)], pyarrow.timestamp("s")).cast(kind)
    state = gathered(text, [pyarrow.record_batch({"t": values})])
    assert state["newest"] == int(datetime(2013, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    assert reasons(text, state, now=datetime(2013, 1, 2, 11, tzinfo=UTC)) == []
    assert len(reasons(text, state, now=datetime(2013, 1, 2, 13, tzinfo=UTC))) == 1


def test_without_any_time_freshness_is_not_taken_for_granted() -> None:
    text = '[freshness]\ncolumn = "t"\nmax_age = "36h"'
    state = gathered(text, [pyarrow.record_batch({"t": pyarrow.nulls(3, pyarrow.timestamp("s"))})])
    assert "there is no newest value of 't'" in reasons(text, state)[0]
    assert "there is no newest input file" in reasons('[freshness]\nfile = true\nmax_age = "1h"', {})[0]
    far = gathered(text, [pyarrow.record_batch({"t": pyarrow.array([2**60], pyarrow.timestamp("s"))})])
    assert "outside the years" in reasons(text, far)[0]


def test_the_time_of_the_newest_file_tells_freshness() -> None:
    text = '[freshness]\nfile = true\nmax_age = "36h"'
    written = int(NOW.timestamp()) * 10**9 - 35 * 3600 * 10**9
    assert reasons(text, {}, newest_file_ns=written) == []
    assert reasons(text, {}, newest_file_ns=written - 2 * 3600 * 10**9)[0].startswith(
        "freshness, max_age: the newest input file"
    )


def test_scores_outside_of_their_range_are_found() -> None:
    array = pyarrow.array([0.5, 1.5, -0.25], pyarrow.float32())
    assert score_reasons("min = 0\nmax = 1", array) == [
        "score 's', min: the least is -0.25; allowed is 0 and above",
        "score 's', max: the largest is 1.5; allowed is 1 and below",
    ]
    assert score_reasons("max = 0.1", pyarrow.array([0.1], pyarrow.float32())) == []
    assert score_reasons("max = 1e300", pyarrow.array([math.inf, 1.0])) == [
        "score 's', max: the largest is inf; allowed is 1e+300 and below"
    ]
    assert score_reasons("min = 0", pyarrow.array([math.nan, 1.0])) == [
        "score 's', finite: 1 of 2 numbers (50%) are NaN"
    ]


def test_scores_that_are_all_the_same_are_found() -> None:
    pairs = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array([0.25, 0.75] * 20), 2)
    assert score_reasons("constant = false", pairs) == ["score 's', constant: all 20 rows have the score 0.25, 0.75"]
    assert score_reasons("constant = false", pairs.slice(1)) == []
    assert score_reasons("constant = false", pyarrow.array(["late"] * 20)) == [
        "score 's', constant: all 20 rows have the label 'late'"
    ]
    assert score_reasons('max_zero_share = "50%"', pyarrow.array([0.0, -0.0, 1.0])) == [
        "score 's', max_zero_share: 2 of 3 numbers (66.67%) are zero; allowed are 50%"
    ]


@pytest.mark.parametrize(
    "labels",
    [pyarrow.array([0] * 3 + [1] * 7), pyarrow.array([0.0] * 3 + [1.0] * 7), pyarrow.array(["0"] * 3 + ["1"] * 7).dictionary_encode()],
)  # fmt: skip
def test_the_share_of_each_label_has_bounds(labels: Any) -> None:
    assert score_reasons('shares = { "0" = ["30%", "30%"], "1" = ["0%", "70%"] }', labels) == []
    assert score_reasons('shares = { "0" = ["31%", "90%"], "2" = ["1%", "2%"] }', labels) == [
        "score 's', shares: 3 of 10 rows (30%) have the label '0'; allowed are 31% to 90%",
        "score 's', shares: 0 of 10 rows (0%) have the label '2'; allowed are 1% to 2%",
    ]
    assert len(score_reasons('shares = { "1" = ["1%", "69.9%"] }', labels)) == 1


def test_scores_of_rejected_rows_do_not_count() -> None:
    text = "[scores.s]\nmin = 0"
    batch = pyarrow.record_batch({"x": pyarrow.nulls(3)})
    state = gathered(text, [batch], [{"s": pyarrow.array([None, 1.0, -1.0])}], [[False, True, False]])
    assert state["scores"]["s"]["rows"] == 1
    assert reasons(text, state) == []


def test_an_output_that_no_model_gives_is_refused_by_name() -> None:
    outputs = [
        pyarrow.field("label", pyarrow.int64()),
        pyarrow.field("probabilities", pyarrow.list_(pyarrow.float32(), 2)),
    ]
    schema = pyarrow.schema([])
    check_schema(contract("[scores.label]\nmin = 0\n[scores.probabilities]\nmax = 1"), schema, outputs)
    with pytest.raises(BadInput, match="no output of this name") as caught:
        check_schema(contract("[scores.probability]\nmin = 0"), schema, outputs)
    assert "probabilities" in caught.value.hint
    with pytest.raises(BadInput, match="the output is a vector"):
        check_schema(contract('[scores.probabilities]\nshares = { a = ["0%", "1%"] }'), schema, outputs)


def test_no_rows_at_all_are_judged_by_their_number_alone() -> None:
    empty = pyarrow.record_batch({"x": pyarrow.array([], pyarrow.float64())})
    text = '[rows]\nmin = 1\n[columns.x]\nnulls = "0%"\nmax_zero_share = "0%"\nconstant = false\n[scores.s]\nmin = 0'
    state = gathered(text, [empty], [{"s": pyarrow.array([], pyarrow.float32())}])
    assert reasons(text, state) == ["rows, min: the input has 0 rows, and is to have 1 at least"]


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
            statistics.update(batch, outputs, findings.accepted)
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
    assert reduce(merge_statistics, states, {}) == (whole if states else {})
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
