"""A drafted contract: read without a fault, the same bytes each time, and kept by the reference it was made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpack_edge.batch.contract.checker import RowChecker
from mlpack_edge.batch.contract.contract import Contract, contract_from_text
from mlpack_edge.batch.contract.draft import draft
from mlpack_edge.batch.contract.judging import judge
from mlpack_edge.batch.contract.margins import percent_text, share_above, widened, zero_share_above
from mlpack_edge.batch.contract.rules import within_share
from mlpack_edge.batch.contract.statistics import ContractStatistics
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.batch.plan import ModelFile
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.quantities import share_from_text
from mlpack_edge.core.signature import Column, Signature, TensorSpec, signature_from_text

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OUTPUTS = (
    TensorSpec("label", "int64", ("batch",), "label"),
    TensorSpec("probabilities", "float32", ("batch", 2), "probabilities"),
)


def model_of(columns: Sequence[Column]) -> ModelFile:
    inputs = tuple(
        TensorSpec(column.input, "float32" if column.kind == "numeric" else "string", ("batch", 1))
        for column in columns
    )
    return ModelFile("m.onnx", "onnx", "", signature=Signature(inputs, OUTPUTS, tuple(columns)).dumps())


def read(text: str, model: ModelFile) -> Contract:
    return contract_from_text(text, "draft.toml", signature_from_text(model.signature))


def kept_by(contract: Contract, batches: Sequence[pyarrow.RecordBatch], schema: pyarrow.Schema) -> tuple[str, ...]:
    """Why rows do not pass the contract, () where they do: the budget and the table rules."""
    checker, collector = (
        RowChecker(contract, schema),
        ContractStatistics(Contract("", "", rules=contract.rules), schema),
    )
    rows = rejected = 0
    for batch in batches:
        findings = checker.check(batch)
        collector.update(batch, {}, findings)
        rows, rejected = rows + batch.num_rows, rejected + int(np.count_nonzero(~findings.accepted))
    verdict = judge(contract, collector.state(), RunFacts(rows, rows - rejected, rejected, {}, ()), None, NOW)
    allowed = contract.max_rejected
    over = () if allowed is not None and within_share(rejected, allowed, rows) else (f"{rejected} of {rows} rejected",)
    return (*over, *verdict.reasons)


@pytest.fixture(scope="module")
def flights() -> pyarrow.Table:
    table = pyarrow.parquet.read_table(ROOT / "cli/demo_data/flights.parquet")
    return table.filter(pyarrow.compute.is_valid(table["dep_delay"])).slice(0, 60_000)


def flights_model(flights: pyarrow.Table) -> ModelFile:
    carriers = tuple(sorted(set(flights["carrier"].to_pylist())))
    return model_of([
        Column("dep_delay", "numeric", "dep_delay"), Column("month", "numeric", "month"),
        Column("distance", "numeric", "distance", missing=True),
        Column("carrier", "categorical", "carrier", categories=carriers), Column("origin", "categorical", "origin"),
    ])  # fmt: skip


def test_the_reference_keeps_its_own_contract(flights: pyarrow.Table) -> None:
    model = flights_model(flights)
    contract = read(draft(model, flights.to_batches(9_000), flights.schema), model)
    assert kept_by(contract, flights.to_batches(10_000), flights.schema) == ()
    carrier = next(rules for rules in contract.rules if rules.name == "carrier")
    assert (carrier.nulls, carrier.type, len(carrier.categories or ())) == ("reject", "text", 16)
    origin = next(rules for rules in contract.rules if rules.name == "origin")
    assert (origin.categories, origin.max_categories) == (("EWR", "JFK", "LGA"), 8)
    assert [rules.name for rules in contract.scores] == ["probabilities"]


@pytest.mark.parametrize(
    ("name", "damage", "rule"),
    [
        ("dep_delay", lambda array: pyarrow.array(np.zeros(len(array), np.int16)), "max_zero_share"),
        ("dep_delay", lambda array: pyarrow.array(np.full(len(array), 3, np.int16)), "constant"),
        ("dep_delay", lambda array: pyarrow.array(np.asarray(array) * 60), "rejected"),
        ("dep_delay", lambda array: pyarrow.array([None] * len(array), pyarrow.int16()), "rejected"),
        ("distance", lambda array: pyarrow.array([None] * len(array), pyarrow.int16()), "nulls"),
        ("origin", lambda array: pyarrow.array([f"A{place % 50}" for place in range(len(array))]), "max_categories"),
        ("origin", lambda array: pyarrow.array([str("EJL".index(item[0])) for item in array.to_pylist()]), "encoding"),
        ("carrier", lambda array: pyarrow.array([item.lower() for item in array.to_pylist()]), "encoding"),
        ("carrier", lambda array: pyarrow.array([None] * len(array), pyarrow.string()), "rejected"),
    ],
)  # fmt: skip
def test_a_draft_finds_the_damages_of_a_night(flights: pyarrow.Table, name: str, damage: Any, rule: str) -> None:
    model = flights_model(flights)
    contract = read(draft(model, flights.to_batches(), flights.schema), model)
    night = flights.slice(20_000, 800).combine_chunks()
    assert kept_by(contract, night.to_batches(), night.schema) == ()
    broken = night.set_column(night.schema.get_field_index(name), name, damage(night[name].combine_chunks()))
    assert any(rule in said for said in kept_by(contract, broken.to_batches(), broken.schema))


def test_a_night_of_one_month_is_no_damage(flights: pyarrow.Table) -> None:
    """Columns of few values are constant in a file of one month, one day, one carrier."""
    model = flights_model(flights)
    contract = read(draft(model, flights.to_batches(), flights.schema), model)
    assert {rules.name for rules in contract.rules if rules.not_constant} == {"dep_delay", "distance"}


def test_the_same_rows_give_the_same_bytes_however_they_are_cut(flights: pyarrow.Table) -> None:
    model = flights_model(flights)
    drafts = {draft(model, flights.to_batches(rows), flights.schema) for rows in (5_000, 5_000, 60_000)}
    assert len(drafts) == 1


def test_without_a_reference_the_model_alone_is_asked(flights: pyarrow.Table) -> None:
    model = flights_model(flights)
    text = draft(model)
    contract = read(text, model)
    assert "in the reference" not in text
    assert {rules.name: rules.nulls for rules in contract.rules} == {
        "dep_delay": "reject", "month": "reject", "distance": "allow", "carrier": "reject", "origin": "reject",
    }  # fmt: skip
    assert kept_by(contract, flights.to_batches(), flights.schema) == ()
    assert draft(model, [], flights.schema).count("reference") == draft(model, (), flights.schema).count("reference")


def test_a_model_without_columns_takes_those_of_the_table() -> None:
    model = ModelFile(
        "m.onnx", "onnx", "", signature=Signature((TensorSpec("x", "float32", ("batch", 2)),), OUTPUTS).dumps()
    )
    table = pyarrow.record_batch({"first": pyarrow.array(range(200)), "second one": pyarrow.array([0.5] * 200)})
    contract = read(draft(model, [table], table.schema), model)
    assert [(rules.name, rules.nulls) for rules in contract.rules] == [("first", "reject"), ("second one", "reject")]
    assert read(draft(model), model).rules == ()


def test_a_reference_that_lacks_a_column_is_refused() -> None:
    model = model_of([Column("a", "numeric", "a")])
    with pytest.raises(BadInput, match="'a'"):
        draft(model, [], pyarrow.schema([("b", pyarrow.int64())]))


def test_a_time_column_is_proposed_for_freshness() -> None:
    model = model_of([Column("a", "numeric", "a")])
    schema = pyarrow.schema([("a", pyarrow.float32()), ('at "t"', pyarrow.timestamp("us"))])
    text = draft(model, [], schema)
    assert '# column = "at \\"t\\""\n' in text
    uncommented = (
        text.replace("# [freshness]", "[freshness]").replace("# column", "column").replace("# max_age", "max_age")
    )
    fresh = read(uncommented, model).freshness
    assert fresh is not None and (fresh.column, fresh.max_age) == ('at "t"', 36 * 3600)


NUMBERS = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1.7e308, -1.7e308]))
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", 'q"\\', "\x7f", ""]), st.text(max_size=3))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, TEXTS, TEXTS, st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))), min_size=1, max_size=30),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()), st.integers(1, 40), st.text(min_size=1, max_size=5),
)  # fmt: skip
def test_any_reference_keeps_its_own_contract(
    rows: list[tuple[Any, ...]], missing: tuple[bool, ...], copies: int, name: str
) -> None:
    """Whatever the numbers, texts, nulls, names, and what the model takes."""
    xs, cs, ts, ns = zip(*(rows * copies), strict=True)
    names = [f"{letter}{name}" for letter in "xctn"]
    batch = pyarrow.record_batch(
        [pyarrow.array(xs, pyarrow.float64()), pyarrow.array(cs, pyarrow.string()), pyarrow.array(ts, pyarrow.large_string()),
         pyarrow.array(ns, pyarrow.int64())], names=names,
    )  # fmt: skip
    model = model_of([
        Column(names[0], "numeric", "x", missing=missing[0]),
        Column(names[1], "categorical", "c", categories=("a", "b"), missing=missing[1]),
        Column(names[2], "categorical", "t", missing=missing[2]),
        Column(names[3], "numeric", "n", missing=missing[3]),
    ])  # fmt: skip
    contract = read(draft(model, [batch], batch.schema), model)
    assert kept_by(contract, [batch], batch.schema) == ()


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_limits_never_cut_into_what_was_seen(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    below, above = widened(low, high, False)
    assert below is None or (float(below) <= low and math.isfinite(float(below)))
    assert above is None or float(above) >= high
    if low >= 0:
        assert below == "0" or float(below or 0) >= 0


@given(st.integers(-(2**63), 2**64), st.integers(0, 2**64))
def test_limits_of_whole_numbers_are_outside_of_what_was_seen(low: int, span: int) -> None:
    below, above = widened(low, low + span, True)
    assert below is None or int(below) <= low
    assert above is None or int(above) >= low + span
    if low > -(2**61) and low + span < 2**61:
        assert below is not None and above is not None


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_shares_lie_above_what_was_seen(count: int, rows: int) -> None:
    count = min(count, rows)
    share = share_above(count, rows)
    assert share is None or (within_share(count, share, rows) and share >= 0.001)
    assert share is None or share_from_text(percent_text(share)) == share
    zeros = zero_share_above(count, rows)
    assert zeros is None or within_share(count, zeros, rows)
    assert zeros is not None or count > 0.98 * rows
