"""The rules of one column in a draft, each with a comment that says where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mlpack_edge.batch.contract.judging import anew
from mlpack_edge.batch.contract.keys import MOST_CATEGORIES
from mlpack_edge.batch.contract.margins import percent_text, share_above, widened, zero_share_above
from mlpack_edge.batch.contract.reference import ColumnReference
from mlpack_edge.batch.contract.rules import ColumnRules
from mlpack_edge.batch.contract.words import percent
from mlpack_edge.core.signature import Category, Column

Line = tuple[str, str]
#: Fewer values say too little of what the column is like.
_ENOUGH = 100
#: More texts than these are no list that anyone reads.
_LISTED = 50
#: How often each has to come, on the average, to be called a category where the model does not say so.
_OFTEN = 20
_SHOWN = 60


def column_lines(column: Column, found: ColumnReference | None, rows: int) -> Iterator[Line]:
    """(rule, comment) line by line. found: what the `rows` reference rows say of it; None without a reference."""
    family = found.family if found else _family_of(column)
    if family and family != "null":
        yield f'type = "{"number" if family == "whole" else family}"', ""
    yield from _nulls(column, found, rows, family)
    values = rows - found.nulls if found else 0
    if family in ("whole", "number", "bool") and found and not column.categories:
        yield from _numbers(found, values, family)
    yield from _categories(column, found, rows)
    if found and values >= _ENOUGH and found.varies:
        yield "constant = false", "a night in which all rows have the same value is wrong"


def _family_of(column: Column) -> str:
    if column.categories:
        first = column.categories[0]
        return "text" if isinstance(first, str) else "bool" if isinstance(first, bool) else "number"
    return {"numeric": "number", "text": "text", "categorical": "text"}.get(column.kind, "")


def _nulls(column: Column, found: ColumnReference | None, rows: int, family: str) -> Iterator[Line]:
    if not column.missing:
        yield 'nulls = "reject"', "the model takes no missing value here"
        return
    if family == "text" and (found is None or not found.nulls):
        yield 'nulls = "reject"', "the model would take them for unknown texts"
        return
    if found is None:
        yield 'nulls = "allow"', 'or the share above which a night is wrong, as "5%"'
        return
    share = share_above(found.nulls, rows)
    if share is None:
        yield 'nulls = "allow"', f"in the reference {percent(found.nulls / rows)}"
    else:
        yield f'nulls = "{percent_text(share)}"', f"in the reference {percent(found.nulls / rows)}"


def _numbers(found: ColumnReference, values: int, family: str) -> Iterator[Line]:
    if found.low is not None and found.high is not None and family != "bool":
        low, high = widened(found.low, found.high, family == "whole")
        seen = f"in the reference {_short(found.low)} to {_short(found.high)}"
        if low is not None:
            yield f"min = {low}", seen
        if high is not None:
            yield f"max = {high}", seen if low is None else ""
    share = zero_share_above(found.zeros, values) if values >= _ENOUGH else None
    if share is not None:
        yield f'max_zero_share = "{percent_text(share)}"', f"in the reference {percent(found.zeros / values)}"


def _categories(column: Column, found: ColumnReference | None, rows: int) -> Iterator[Line]:
    state = found.state() if found else None
    if column.categories and (found is None or found.comparable):
        yield from _of_model(column, state, rows)
    elif state is not None and found is not None and found.family == "text":
        yield from _of_reference(column, state, rows)
    if state is None:
        most = len(column.categories)
    elif state["values"]["many"]:
        most = 0
    else:
        most = max(len(state["values"]["of"]), len(column.categories))
    if most and 2 * most + 2 <= MOST_CATEGORIES and (column.categories or 2 * most * _OFTEN <= rows):
        seen = f"in the reference {len(state['values']['of']):,}" if state else f"the model knows {most:,}"
        yield f"max_categories = {2 * most + 2}", seen


def _of_model(column: Column, state: dict[str, Any] | None, rows: int) -> Iterator[Line]:
    if state is not None and anew(ColumnRules(column.name, categories=column.categories), state, rows):
        yield "", f"hardly any value of the reference is one that the model knows: {_some(column.categories)}"
        return
    yield 'categories_from = "model"', _some(column.categories)
    values = rows - state["nulls"] if state else 0
    share = share_above(state["unseen"], values) if state and values else None
    if state is None or share is None:
        yield 'unseen = "allow"', 'or "reject", or the share above which a night is wrong, as "1%"'
    else:
        yield f'unseen = "{percent_text(share)}"', f"in the reference {percent(state['unseen'] / values)}"


def _of_reference(column: Column, state: dict[str, Any], rows: int) -> Iterator[Line]:
    """A list of texts where there are few of them and they come again and again."""
    texts = state["values"]["of"]
    values = rows - state["nulls"]
    few = not state["values"]["many"] and 0 < len(texts) <= _LISTED and len(texts) * _OFTEN <= values
    if column.kind != "text" and few and not any(len(text) > _SHOWN for text in texts):
        listed = ", ".join(json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F") for text in sorted(texts))
        yield f"categories = [{listed}]", ""
        yield f'unseen = "{percent_text(share_above(0, values))}"', ""


def _short(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.6g}"


def _some(categories: tuple[Category, ...]) -> str:
    """The first few, as far as a line goes."""
    texts = [json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007F") for item in categories]
    shown: list[str] = []
    for text in texts:
        if len(", ".join([*shown, text])) > _SHOWN:
            return f"{len(texts):,}: {', '.join(shown)}, ..."
        shown.append(text)
    return f"{len(texts):,}: {', '.join(shown)}"
