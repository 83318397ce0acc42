"""Names and texts stand in SQL as they are, whatever is in them."""

from __future__ import annotations

import duckdb
import hypothesis.strategies as st
from hypothesis import given, settings

from mlpack_edge.batch.sql_text import name, text

# DuckDB takes no NUL in a statement, and Python no lone surrogates in UTF-8.
_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(column=_ANY, value=_ANY)
@settings(max_examples=100, deadline=None)
def test_duckdb_reads_back_what_was_quoted(column: str, value: str) -> None:
    with duckdb.connect() as connection:
        answer = connection.execute(f"SELECT {text(value)} AS {name(column)}")
        assert [each[0] for each in answer.description or []] == [column]
        assert answer.fetchall() == [(value,)]
