"""Table rules: each damage of a night is found, and named with what was found and what is allowed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow
import pytest

from tests.batch.contract.gathering import (
    FLIGHTS,
    NOW,
    changed,
    column_reasons,
    gathered,
    judged,
    reasons,
    two_days,
)


@pytest.fixture(scope="module")
def flights() -> pyarrow.Table:
    return two_days()


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


def test_an_encoding_that_changed_is_said_once() -> None:
    (said,) = column_reasons('categories = ["EWR"]\nunseen = "1%"', pyarrow.array(["0"] * 30))
    assert "encoding" in said


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


def test_no_rows_at_all_are_judged_by_their_number_alone() -> None:
    empty = pyarrow.record_batch({"x": pyarrow.array([], pyarrow.float64())})
    text = '[rows]\nmin = 1\n[columns.x]\nnulls = "0%"\nmax_zero_share = "0%"\nconstant = false\n[scores.s]\nmin = 0'
    state = gathered(text, [empty], [{"s": pyarrow.array([], pyarrow.float32())}])
    assert reasons(text, state) == ["rows, min: the input has 0 rows, and is to have 1 at least"]
