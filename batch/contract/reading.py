"""A contract's TOML into its rules. Every key is known or refused, every value is what its key asks for or refused."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from typing import Any

from mlpack_edge.batch.contract.keys import COLUMN, FRESHNESS, ROWS, SCORE, TOP, Reader, Wrong
from mlpack_edge.batch.contract.lines import line_of
from mlpack_edge.batch.contract.rules import ColumnRules, Contract, Freshness, RowsRule, ScoreRules, family_of
from mlpack_edge.core.errors import BadInput, MlpackError

SCHEMA = 1
_TABLES = ("rows", "freshness", "columns", "scores")
_PAGE = "docs/reference/contract.md shows each key"
#: Which rules a column of a type can have, beside those that any can.
_RULES_OF = {
    "text": {"categories", "categories_from", "unseen", "max_categories", "pattern"},
    "number": {"categories", "categories_from", "unseen", "max_categories", "min", "max", "finite", "max_zero_share"},
    "whole": {"categories", "categories_from", "unseen", "max_categories", "min", "max", "finite", "max_zero_share"},
    "bool": {"categories", "categories_from", "unseen", "max_zero_share"},
    "date": {"min", "max"},
}
_RULES_OF_ANY = {"type", "nulls", "constant", "unique"}


class _Source:
    """The text that is read, so that a fault can name its line."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def fault(self, path: tuple[str, ...], what: str, hint: str, why: str = "") -> BadInput:
        line = line_of(self.text, path)
        where = f"{self.name}, line {line}" if line else self.name
        return BadInput(f"{where}: {'.'.join(path)}{what}", hint, why=why)


def contract_record(text: str, name: str) -> Contract:
    """The rules in TOML text, `categories_from` as it stands. Raises BadInput naming the key, and its line where found."""
    try:
        record = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise BadInput(f"{name} is no TOML", "mend that line", why=str(fault)) from fault
    source = _Source(text, name)
    _check_schema_number(record, source)
    fresh = "freshness" in record
    tables = {table: _table(record.pop(table, {}), (table,), source) for table in _TABLES}
    top = _read(record, TOP, (), source, _TABLES)
    return Contract(
        name=name,
        text=text,
        max_rejected=top.get("max_rejected"),
        rows=_rows(tables["rows"], source),
        freshness=_freshness(tables["freshness"], source) if fresh else None,
        rules=tuple(_column(key, value, source) for key, value in tables["columns"].items()),
        scores=tuple(_score(key, value, source) for key, value in tables["scores"].items()),
    )


def _check_schema_number(record: dict[str, Any], source: _Source) -> None:
    if "schema" not in record:
        raise BadInput(f"{source.name}: the key schema is missing", f"write schema = {SCHEMA} at its top")
    found = record.pop("schema")
    if type(found) is not int or found != SCHEMA:
        raise source.fault(("schema",), f" is {found!r}, and this mlpack reads {SCHEMA}", "use a newer mlpack")


def _table(value: Any, path: tuple[str, ...], source: _Source) -> dict[str, Any]:
    if type(value) is not dict:
        where = ".".join(path)
        raise source.fault(path, " is no table", f"write [{where}] on a line of its own, and its keys below")
    return value


def _read(
    record: Mapping[str, Any], readers: Mapping[str, Reader], path: tuple[str, ...], source: _Source,
    tables: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    made = {}
    for key, value in record.items():
        if key not in readers:
            known = [*readers, *tables]
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"is {near[0]} meant?" if near else f"known keys are {', '.join(known)}"
            raise source.fault((*path, key), " is no key of a contract", hint)
        try:
            made[key] = readers[key](value)
        except Wrong as fault:
            raise source.fault((*path, key), f" is {value!r:.200}, and must be {fault}", _PAGE) from fault
        except MlpackError as fault:  # of core.quantities, which does not know the key
            raise source.fault((*path, key), f": {fault.message}", fault.hint) from fault
    return made


def _rows(record: dict[str, Any], source: _Source) -> RowsRule:
    rule = RowsRule(**_read(record, ROWS, ("rows",), source))
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        raise source.fault(("rows", "min"), f" is {rule.min}, above max, {rule.max}", "no number of rows is both")
    return rule


def _freshness(record: dict[str, Any], source: _Source) -> Freshness:
    path = ("freshness",)
    made = _read(record, FRESHNESS, path, source)
    if "max_age" not in made:
        raise source.fault(path, ": the key max_age is missing", 'write for example max_age = "36h"')
    if bool(made.get("column")) == bool(made.get("file")):
        raise source.fault(
            path, " needs either column or file = true",
            'column = "NAME" takes the newest value of a column, file = true the time of the newest input file',
        )  # fmt: skip
    if made.get("file") and "timezone" in made:
        raise source.fault((*path, "timezone"), " says nothing beside file = true", "take it away")
    return Freshness(**made)


def _column(name: str, record: Any, source: _Source) -> ColumnRules:
    path = ("columns", name)
    made = _read(_table(record, path, source), COLUMN, path, source)
    _agree(made, path, source)
    values: dict[str, Any] = {"name": name}
    for key, value in made.items():
        if key in ("nulls", "unseen") and isinstance(value, float):
            values["max_null_share" if key == "nulls" else "max_unseen_share"] = value
        elif key == "constant":
            values["not_constant"] = not value
        else:
            values[key] = value
    if ("categories" in made or "categories_from" in made) and "unseen" not in made:
        values["unseen"] = "reject"
    rules = ColumnRules(**values)
    family = family_of(rules)
    for key in made:
        if family and key not in _RULES_OF[family] | _RULES_OF_ANY:
            said = "its type" if rules.type else "what its other rules are for"
            raise source.fault((*path, key), f" is no rule for {family}, {said}", _PAGE)
    _limits(rules, family, path, source)
    return rules


def _agree(made: dict[str, Any], path: tuple[str, ...], source: _Source) -> None:
    """Keys that need another, or exclude it."""
    if not made:
        raise source.fault(path, " has no rule", "write one below it, or take the table away")
    if "categories" in made and "categories_from" in made:
        raise source.fault((*path, "categories_from"), " is said beside categories", "keep one of the two")
    if "unseen" in made and not ("categories" in made or "categories_from" in made):
        raise source.fault((*path, "unseen"), " is said, but no categories", "list them: categories = [...]")


def _limits(rules: ColumnRules, family: str, path: tuple[str, ...], source: _Source) -> None:
    dates = family == "date"
    for key, limit in (("min", rules.min), ("max", rules.max)):
        if limit is not None and isinstance(limit, int | float) == dates:
            wanted = "a date, as 2026-01-31" if dates else "a number"
            raise source.fault((*path, key), f" is {limit}, and must be {wanted}", _PAGE)
    if rules.min is not None and rules.max is not None and _order(rules.min) > _order(rules.max):
        raise source.fault((*path, "min"), f" is {rules.min}, above max, {rules.max}", "no value is both")
    kinds = {
        "text" if isinstance(item, str) else "bool" if isinstance(item, bool) else "number"
        for item in rules.categories or ()
    }
    if len(kinds) > 1:
        raise source.fault(
            (*path, "categories"), " are not of one type", "texts, numbers or bools, as the column has them"
        )
    if kinds and kinds != {"number" if family == "whole" else family}:
        raise source.fault(
            (*path, "categories"), f" are {kinds.pop()}, and the column is {family}", 'write texts as ["1", "2"]'
        )


def _order(limit: Any) -> Any:
    from mlpack_edge.batch.contract.times import nanoseconds_of

    return limit if isinstance(limit, int | float) else nanoseconds_of(limit)


def _score(name: str, record: Any, source: _Source) -> ScoreRules:
    path = ("scores", name)
    made = _read(_table(record, path, source), SCORE, path, source)
    if not made:
        raise source.fault(path, " has no rule", "write one below it, or take the table away")
    if "constant" in made:
        made["not_constant"] = not made.pop("constant")
    rules = ScoreRules(name=name, **made)
    if rules.min is not None and rules.max is not None and rules.min > rules.max:
        raise source.fault((*path, "min"), f" is {rules.min}, above max, {rules.max}", "no score is both")
    return rules
