"""A contract is read strictly: what is not understood is refused, with the line and what was probably meant."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.batch.contract.contract import contract_from_text, contract_of_plan, read_contract
from mlpack_edge.batch.contract.lines import line_of
from mlpack_edge.batch.contract.rules import at_least_share, within_share
from mlpack_edge.batch.job import Job
from mlpack_edge.batch.plan import ModelFile, Plan
from mlpack_edge.core.errors import BadInput, IoFault
from mlpack_edge.core.signature import Column, Signature, TensorSpec

TEXT = """\
schema = 1
max_rejected = "0.1%"

[rows]
min = 1_000
within = "50%"

[freshness]
column = "departed_at"
max_age = "2d"
timezone = "America/New_York"

[columns.carrier]
type = "text"
nulls = "5%"
categories = ["AA", "UA"]
unseen = "1%"
max_categories = 50

[columns."délai (min)"]
nulls = "reject"
min = -120
max = 3000.5
finite = true
max_zero_share = "90%"
constant = false

[columns.day]
min = 2013-01-01

[columns.id]
unique = true
pattern = "[A-Z]+"

[scores.label]
shares = { "0" = ["1%", "60%"] }
"""
SIGNATURE = Signature(
    (TensorSpec("carrier", "string", ("batch", 1)),), (),
    (Column("carrier", "categorical", "carrier", categories=("AA", "B6")), Column("n", "numeric", "n")),
)  # fmt: skip


def test_every_rule_is_read() -> None:
    contract = contract_from_text(TEXT, "c.toml")
    carrier, delay, day, name = contract.rules
    assert (contract.max_rejected, contract.rows.min, contract.rows.within) == (0.001, 1000, 0.5)
    assert contract.freshness is not None and contract.freshness.max_age == 2 * 86400
    assert (carrier.max_null_share, carrier.nulls, carrier.max_unseen_share) == (0.05, "", 0.01)
    assert (delay.name, delay.min, delay.max, delay.finite, delay.not_constant) == (
        "délai (min)",
        -120,
        3000.5,
        True,
        True,
    )
    assert (delay.nulls, delay.max_null_share) == ("reject", None)
    assert day.min == date(2013, 1, 1)
    assert (name.unique, name.pattern) == (True, "[A-Z]+")
    assert contract.scores[0].shares == {"0": (0.01, 0.6)}


def test_a_contract_names_the_columns_that_it_reads() -> None:
    contract = contract_from_text(TEXT, "c.toml")
    assert contract.columns == ("carrier", "délai (min)", "day", "id", "departed_at")
    assert contract.unique == ("id",)
    assert contract.dictionary == ("carrier",)
    assert contract.text == TEXT


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        ("max_categories", "max_catgories", "line 18: columns.carrier.max_catgories is no key", "is max_categories meant?"),
        ("[rows]", "[row]", "line 4: row is no key", "is rows meant?"),
        ("[rows]\nmin = 1_000", "[rows]\nmin = '1000'", "line 5: rows.min is '1000'", "contract.md"),
        ('"2d"', '"2 fortnights"', "line 10: freshness.max_age: '2 fortnights' is not a duration", "90s"),
        ('max_rejected = "0.1%"', "max_rejected = 5", 'line 2: max_rejected is 5, and must be a percentage as "0.1%"', ""),
        ('nulls = "5%"', 'nulls = "refuse"', 'columns.carrier.nulls is \'refuse\', and must be "reject", "allow"', ""),
        ('["AA", "UA"]', '["AA", 1]', "line 16: columns.carrier.categories are not of one type", ""),
        ('["AA", "UA"]', "[1, 2]", "categories are number, and the column is text", ""),
        ('["AA", "UA"]', '["AA", "AA"]', "must be a list that has 'AA' once", ""),
        ('["AA", "UA"]', "[]", "with one in it at least", ""),
        ('type = "text"', 'type = "string"', 'must be "text" or "number"', ""),
        ('type = "text"', 'type = "text"\nmin = 0', "line 15: columns.carrier.min is no rule for text, its type", ""),
        ("min = -120", "min = 4000", "line 22: columns.délai (min).min is 4000, above max, 3000.5", ""),
        ("min = -120", "min = nan", "must be a finite number", ""),
        ("min = -120", "min = 36893488147419103232", "must be a finite number", ""),
        ("min = 2013-01-01", "min = 2013-01-01\nmax = 5", "columns.day.max is 5, and must be a date", ""),
        ("finite = true", "finite = 1", "must be true or false", ""),
        ("schema = 1", "schema = 2", "line 1: schema is 2, and this mlpack reads 1", "newer"),
        ("schema = 1\n", "", "the key schema is missing", "schema = 1"),
        ("[rows]", "[rows", "is no TOML", ""),
        ('column = "departed_at"', "file = false", "freshness needs either column or file", ""),
        ('max_age = "2d"', "", "line 8: freshness: the key max_age is missing", ""),
        ("America/New_York", "New York City", "must be the name of a time zone", ""),
        ('categories = ["AA", "UA"]\n', "", "columns.carrier.unseen is said, but no categories", ""),
        ('unseen = "1%"', 'categories_from = "model"', "categories_from is said beside categories", "one of the two"),
        ("unique = true\n", "", None, ""),
        ('unique = true\npattern = "[A-Z]+"\n', "", "columns.id has no rule", ""),
        ('["1%", "60%"]', '["60%", "1%"]', "the least share of '0' is not above the largest", ""),
        ('["1%", "60%"]', '"60%"', "the least and the largest share", ""),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_its_line(old: str, new: str, said: str | None, hint: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    if said is None:
        contract_from_text(text, "c.toml")
        return
    with pytest.raises(BadInput) as caught:
        contract_from_text(text, "c.toml")
    assert "c.toml" in caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_toml_that_is_none_is_refused_with_the_line_of_the_parser() -> None:
    with pytest.raises(BadInput) as caught:
        contract_from_text("schema = 1\nmax_rejected = = 1\n", "c.toml")
    assert "line 2" in caught.value.why


def test_the_categories_of_the_model_are_filled_in() -> None:
    text = 'schema = 1\n[columns.carrier]\ncategories_from = "model"\nunseen = "allow"\n'
    (rules,) = contract_from_text(text, "c", SIGNATURE).rules
    assert (rules.categories, rules.categories_from) == (("AA", "B6"), "")
    plan = Plan(
        Job("m.onnx", ("a.parquet",), "out", contract="c"), (ModelFile("m.onnx", "onnx", "", signature=SIGNATURE.dumps()),),
        (), (), (), "", (), text, (),
    )  # fmt: skip
    assert contract_of_plan(plan) == contract_from_text(text, "c", SIGNATURE)


def test_a_column_of_which_the_model_knows_no_categories_is_refused() -> None:
    with pytest.raises(BadInput, match="the model knows no categories of 'n'") as caught:
        contract_from_text('schema = 1\n[columns.n]\ncategories_from = "model"\n', "c", SIGNATURE)
    assert "carrier" in caught.value.hint


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IoFault):
        read_contract(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"schema = 1 # \xe9")
    with pytest.raises(BadInput, match="no UTF-8"):
        read_contract(tmp_path / "latin.toml")
    (tmp_path / "c.toml").write_text(TEXT, encoding="utf-8")
    assert read_contract(tmp_path / "c.toml").rules == contract_from_text(TEXT, "").rules


def test_a_contract_is_read_and_judged_without_pyarrow() -> None:
    """The coordinating process starts in a moment."""
    code = (
        "import sys; from mlpack_edge.batch.contract.contract import contract_from_text, judge, merge_statistics; "
        "contract_from_text('schema = 1', 'c'); print([n for n in ('pyarrow', 'polars', 'onnx') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_key_is_found_in_its_own_table_only() -> None:
    text = 'schema = 1\n[columns.a]\nmin = 1\n[columns."b c"]  # min = 3\nmin = 2\n[scores.a]\nmin = 0\n'
    assert line_of(text, ("columns", "a", "min")) == 3
    assert line_of(text, ("columns", "b c", "min")) == 5
    assert line_of(text, ("scores", "a", "min")) == 7
    assert line_of(text, ("columns", "b c")) == 4
    assert line_of(text, ("columns", "z")) is None


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_share_means_the_decimal_that_it_is_written_as(count: int, rows: int, millionths: int) -> None:
    """29 of 100 are 29 %, though 0.29 * 100 < 29 in floating point."""
    share = millionths / 10**6
    assert within_share(count, share, rows) == (count * 10**6 <= millionths * rows)
    assert at_least_share(count, share, rows) == (count * 10**6 >= millionths * rows)
    assert within_share(29, 0.29, 100)
    assert at_least_share(7, 0.07, 100)
