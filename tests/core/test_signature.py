"""The signature survives its own file, and nothing else passes for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Column, Signature, TensorSpec, signature_from_text

names = st.text(min_size=1, max_size=12)
specs = st.builds(
    TensorSpec,
    names,
    st.sampled_from(["float32", "float64", "int64", "string", "bool"]),
    st.lists(st.one_of(st.integers(0, 9), names), max_size=3).map(tuple),
    st.sampled_from(["", "label", "probabilities"]),
)
columns = st.builds(
    Column, names, st.sampled_from(["numeric", "categorical", "text"]), names, st.integers(0, 5),
    st.lists(st.one_of(names, st.integers(-9, 9)), max_size=3).map(tuple), names, st.booleans(),
)  # fmt: skip
signatures = st.builds(
    Signature, st.lists(specs, max_size=3).map(tuple), st.lists(specs, max_size=3).map(tuple),
    st.lists(columns, max_size=3).map(tuple), st.lists(names, max_size=3).map(tuple),
)  # fmt: skip


@given(signatures)
def test_round_trip(signature: Signature) -> None:
    assert signature_from_text(signature.dumps()) == signature


@given(signatures)
def test_equal_signatures_are_equal_bytes(signature: Signature) -> None:
    assert signature_from_text(signature.dumps()).dumps() == signature.dumps()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 1, "inputs": 3}', "[" * 100_000])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        signature_from_text(text)


def test_a_later_schema_is_refused_with_the_way_out() -> None:
    record = Signature((), ()).to_json() | {"schema": 2}
    with pytest.raises(BadInput, match="schema 2") as caught:
        signature_from_text(json.dumps(record))
    assert "upgrade" in caught.value.hint


def test_unknown_keys_are_ignored() -> None:
    record = Signature((), ()).to_json() | {"later": 1}
    assert signature_from_text(json.dumps(record)) == Signature((), ())
