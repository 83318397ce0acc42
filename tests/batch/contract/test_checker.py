"""Which rows are rejected: the same as a person would say who reads the contract row by row."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.contract.checker import RowChecker
from mlpack_edge.batch.contract.contract import contract_from_text
from mlpack_edge.core.errors import BadInput, CheckFailed

RULES = """
[columns."délai (min)"]
nulls = "reject"
min = -2
max = 2.5
finite = true
[columns.carrier]
nulls = "reject"
categories = ["AA", "ü", ""]
pattern = "[^x]*"
[columns.n]
categories = [0, 1, 2]
[columns.flag]
nulls = "reject"
"""
NUMBERS = [None, math.nan, math.inf, -math.inf, -2.0, -2.5, 2.5, 2.75, 0.0, 1e30]
TEXTS = [None, "AA", "ü", "", "xx", "UA", "AAx"]
WHOLES = [None, 0, 1, 2, 3, -1]
KINDS_OF_TEXT = [
    pyarrow.string(), pyarrow.large_string(), pyarrow.string_view(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
    pyarrow.dictionary(pyarrow.int32(), pyarrow.large_string()),
]  # fmt: skip
KINDS_OF_NUMBER = [pyarrow.float64(), pyarrow.float32(), pyarrow.float16()]
KINDS_OF_WHOLE = [pyarrow.int8(), pyarrow.int64(), pyarrow.int32()]


def checker(text: str, schema: pyarrow.Schema) -> RowChecker:
    return RowChecker(contract_from_text("schema = 1\n" + text, "c.toml"), schema)


def rejected(text: str, array: pyarrow.Array) -> list[str]:
    """For a column `x` the rule that each row breaks, "" for none."""
    batch = pyarrow.record_batch({"x": array})
    findings = checker(text, batch.schema).check(batch)
    return ["" if code == 0 else findings.kinds[code - 1].rule for code in findings.codes]


def said_row_by_row(delay: float | None, carrier: str | None, n: int | None, flag: bool | None) -> str:
    """The rules above, read by a person."""
    if delay is None or math.isnan(delay):
        return "délai (min) nulls"
    if math.isinf(delay):
        return "délai (min) finite"
    if delay < -2:
        return "délai (min) min"
    if delay > 2.5:
        return "délai (min) max"
    if carrier is None:
        return "carrier nulls"
    if carrier not in ("AA", "ü", ""):
        return "carrier categories"
    if not re.fullmatch("[^x]*", carrier):
        return "carrier pattern"
    if n is not None and n not in (0, 1, 2):
        return "n categories"
    return "flag nulls" if flag is None else ""


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.sampled_from(WHOLES), st.sampled_from([None, True, False])
        ),
        max_size=30,
    ),
    st.sampled_from(KINDS_OF_NUMBER), st.sampled_from(KINDS_OF_TEXT), st.sampled_from(KINDS_OF_WHOLE), st.integers(0, 7),
)  # fmt: skip
def test_rows_are_rejected_as_when_read_row_by_row(
    rows: list[tuple[Any, ...]], number: Any, text: Any, whole: Any, cut: int
) -> None:
    """Nulls, NaN, infinities, unknown texts, in every Arrow type, and in batches that are slices of others."""
    delays, carriers, ns, flags = zip(*rows, strict=True) if rows else ((), (), (), ())
    delays = tuple(
        delay if delay is None or number != pyarrow.float16() or abs(delay) < 1e4 else math.inf for delay in delays
    )
    arrays = {
        "carrier": pyarrow.array(carriers, text),
        "n": pyarrow.array(ns, whole),
        "flag": pyarrow.array(flags, pyarrow.bool_()),
        "délai (min)": pyarrow.array([None if item is None else np.float16(item) for item in delays], number)
        if number == pyarrow.float16() else pyarrow.array(delays, number),
        "other": pyarrow.nulls(len(rows)),
    }  # fmt: skip
    batch = pyarrow.record_batch(arrays)
    made = checker(RULES, batch.schema)
    expected = [said_row_by_row(*row) for row in zip(delays, carriers, ns, flags, strict=True)]
    said = []
    for piece in (batch.slice(0, cut), batch.slice(cut)):
        findings = made.check(piece)
        said += [
            "" if code == 0 else f"{findings.kinds[code - 1].column} {findings.kinds[code - 1].rule}"
            for code in findings.codes.tolist()
        ]
    assert said == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1, max_size=10),
    st.one_of(
        st.integers(-(2**64) + 1, 2**64 - 1), st.floats(-1e300, 1e300), st.sampled_from([0.5, -0.5, 2**53 + 1, 1e18])
    ),
)
def test_whole_numbers_are_compared_exactly(values: list[int], limit: float) -> None:
    """Beyond 2**53, where floats have gaps, and with limits between two whole numbers."""
    below = rejected(f"[columns.x]\nmin = {limit!r}", pyarrow.array(values, pyarrow.int64()))
    above = rejected(f"[columns.x]\nmax = {limit!r}", pyarrow.array(values, pyarrow.int64()))
    assert below == ["min" if value < limit else "" for value in values]
    assert above == ["max" if value > limit else "" for value in values]


@pytest.mark.parametrize("kind", [pyarrow.int8(), pyarrow.uint8(), pyarrow.uint64(), pyarrow.int16()])
def test_limits_outside_of_a_type_are_kept_by_all_of_it_or_by_none(kind: Any) -> None:
    values = pyarrow.array([0, 100], kind)
    assert rejected("[columns.x]\nmin = -70_000\nmax = 1e19", values) == ["", ""]
    assert rejected("[columns.x]\nmin = 1e19", values) == ["min", "min"]
    assert rejected("[columns.x]\nmax = -70_000", values) == ["max", "max"]


def test_a_float32_that_is_written_as_the_limit_keeps_it() -> None:
    assert rejected("[columns.x]\nmax = 0.1", pyarrow.array([0.1, 0.2], pyarrow.float32())) == ["", "max"]
    assert rejected("[columns.x]\nmax = 1e300", pyarrow.array([3e38], pyarrow.float32())) == [""]
    assert rejected("[columns.x]\ncategories = [0.1]", pyarrow.array([0.1, 0.2], pyarrow.float32())) == [
        "",
        "categories",
    ]


def test_decimals_and_dictionaries_of_numbers_are_numbers() -> None:
    decimals = pyarrow.array(["1.50", "99.99", None]).cast(pyarrow.decimal128(10, 2))
    assert rejected("[columns.x]\nmax = 2", decimals) == ["", "max", ""]
    coded = pyarrow.array([1.0, 5.0, None, math.nan]).dictionary_encode()
    assert rejected('[columns.x]\nmax = 2\nnulls = "reject"', coded) == ["", "max", "nulls", "nulls"]


def test_a_dictionary_may_hold_null_itself() -> None:
    array = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0, 1, None, 0]), pyarrow.array(["AA", None]))
    assert rejected('[columns.x]\nnulls = "reject"', array) == ["", "nulls", "nulls", ""]
    assert rejected('[columns.x]\ncategories = ["AA"]', array) == ["", "", "", ""]


def test_a_null_text_is_never_taken_for_an_unknown_one() -> None:
    assert rejected('[columns.x]\ncategories = ["AA"]', pyarrow.array(["AA", None, "??"])) == ["", "", "categories"]


def test_a_column_without_any_value_is_null_throughout() -> None:
    assert rejected('[columns.x]\nnulls = "reject"\nmin = 0', pyarrow.nulls(2)) == ["nulls", "nulls"]
    assert rejected('[columns.x]\nnulls = "reject"\ncategories = ["a"]', pyarrow.nulls(1)) == ["nulls"]


def test_unseen_values_are_rejected_unless_they_are_allowed_or_counted() -> None:
    array = pyarrow.array(["AA", "ZZ"])
    assert rejected('[columns.x]\ncategories = ["AA"]\nunseen = "reject"', array) == ["", "categories"]
    assert rejected('[columns.x]\ncategories = ["AA"]\nunseen = "allow"', array) == ["", ""]
    assert rejected('[columns.x]\ncategories = ["AA"]\nunseen = "1%"', array) == ["", ""]


def test_dictionaries_that_change_from_batch_to_batch_are_looked_up_anew() -> None:
    """Each row group of Parquet has a dictionary of its own."""
    first = pyarrow.record_batch({"x": pyarrow.array(["AA", "ZZ"]).dictionary_encode()})
    second = pyarrow.record_batch({"x": pyarrow.array(["ZZ", "AA"]).dictionary_encode()})
    made = checker('[columns.x]\ncategories = ["AA"]\npattern = "A+"', first.schema)
    assert [made.check(batch).codes.tolist() for batch in (first, second, first)] == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_dates_and_times_have_limits(unit: str, zone: str | None) -> None:
    """A date lasts until its end; a limit without a zone is UTC."""
    times = [datetime(2013, 1, 1, hour, tzinfo=UTC if zone else None) for hour in (0, 23)]
    outside = [
        datetime(2012, 12, 31, 23, tzinfo=UTC if zone else None),
        datetime(2013, 1, 2, 0, tzinfo=UTC if zone else None),
    ]
    array = pyarrow.array([*times, *outside, None], pyarrow.timestamp(unit, zone))
    assert rejected("[columns.x]\nmin = 2013-01-01\nmax = 2013-01-01", array) == ["", "", "min", "max", ""]
    moment = rejected("[columns.x]\nmax = 2013-01-01T00:30:00Z", array)
    assert moment == ["", "max", "", "max", ""]


@pytest.mark.parametrize("kind", [pyarrow.date32(), pyarrow.date64()])
def test_dates_have_limits(kind: Any) -> None:
    array = pyarrow.array([date(1960, 2, 29), date(2013, 1, 1), None], kind)
    assert rejected("[columns.x]\nmin = 1960-03-01", array) == ["min", "", ""]
    assert rejected("[columns.x]\nmax = 1960-02-29", array) == ["", "max", ""]
    assert rejected("[columns.x]\nmin = 1960-02-29T00:00:01", array) == ["min", "", ""]


def test_a_pattern_is_of_the_whole_text() -> None:
    array = pyarrow.array(["N1234", "N12345X", "xN1", "N1\n", None])
    assert rejected('[columns.x]\npattern = "N[0-9]+|Q"', array) == ["", "pattern", "pattern", "pattern", ""]


def test_reasons_say_what_is_allowed() -> None:
    batch = pyarrow.record_batch({"x": pyarrow.array([-5.0, None, 9.0])})
    findings = checker('[columns.x]\nnulls = "reject"\nmin = -2\nmax = 8.5', batch.schema).check(batch)
    assert [findings.kinds[code - 1].reason for code in findings.codes] == ["below -2", "null or NaN", "above 8.5"]
    assert {kind.column for kind in findings.kinds} == {"x"}


@pytest.mark.parametrize(
    ("rules", "array", "said"),
    [
        ('type = "text"', pyarrow.array([1]), "holds int64, and is to hold text"),
        ('type = "whole"', pyarrow.array([1.0]), "holds double, and is to hold whole numbers"),
        ('type = "number"', pyarrow.array(["1"]), "holds string, and is to hold numbers"),
        ('type = "bool"', pyarrow.array([1]), "holds int64, and is to hold bools"),
        ('type = "date"', pyarrow.array(["2013-01-01"]), "holds string, and is to hold dates or times"),
        ('type = "text"', pyarrow.nulls(3), "holds no value at all, and is to hold text"),
        ("min = 0", pyarrow.array(["1"]), "holds string, and is to hold numbers"),
        ("categories = [0, 1, 2]", pyarrow.array(["A", "B", "C"]), "holds string, and is to hold numbers: was it encoded anew?"),
        ('categories = ["A", "B"]', pyarrow.array([0, 1]), "holds int64, and is to hold text: was it encoded anew?"),
        ('nulls = "reject"', pyarrow.array([[1]]), "holds list<item: int64>, and is to hold text, numbers"),
        ("max_categories = 3", pyarrow.array([True]), "which has no categories"),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_refused_before_the_first_row(rules: str, array: Any, said: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        rejected(f"[columns.x]\n{rules}", array)
    assert said in caught.value.message


def test_everything_that_is_wrong_with_the_columns_is_said_at_once() -> None:
    schema = pyarrow.schema([("carier", pyarrow.string()), ("n", pyarrow.string()), ("t", pyarrow.string())])
    with pytest.raises(CheckFailed) as caught:
        checker(
            '[columns.carrier]\ntype = "text"\n[columns.n]\nmin = 0\n[freshness]\ncolumn = "t"\nmax_age = "1h"', schema
        )
    assert caught.value.data["reasons"] == [
        "the column 'carrier' is missing (there is 'carier')",
        "the column 'n' holds string, and is to hold numbers",
        "the column 't', which freshness is told by, holds string, not dates or times",
    ]
    assert "(and 2 more)" in caught.value.message


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(CheckFailed, match="'x' is there 2 times"):
        checker("[columns.x]\nmin = 0", pyarrow.schema([("x", pyarrow.int64()), ("x", pyarrow.int64())]))


def test_a_pattern_that_is_none_is_refused_before_the_first_row() -> None:
    with pytest.raises(BadInput, match=r"columns.x.pattern is no regular expression"):
        rejected('[columns.x]\npattern = "(?=a)"', pyarrow.array(["a"]))


def test_categories_of_a_model_that_nobody_gave_are_refused() -> None:
    with pytest.raises(BadInput, match="no model is given"):
        rejected('[columns.x]\ncategories_from = "model"', pyarrow.array(["a"]))


def test_a_contract_over_two_thousand_columns_is_checked() -> None:
    names = [f"column {place}" for place in range(2000)]
    batch = pyarrow.record_batch({name: pyarrow.array([1.0, None]) for name in names})
    text = "".join(f'[columns.{json.dumps(name)}]\nnulls = "reject"\nmin = 0\n' for name in names)
    findings = checker(text, batch.schema).check(batch)
    assert findings.codes.tolist() == [0, 1]
    assert findings.kinds[0].column == "column 0"
