"""Whether an input can keep a contract at all: its columns and their types, before the first row."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import pyarrow
import pyarrow.compute
from pyarrow import types

from mlpack_edge.batch.contract.rules import ColumnRules, Contract, family_of
from mlpack_edge.core.errors import BadInput, CheckFailed

#: What a column may hold, by what the rules are for.
_TAKES = {
    "text": ("text",),
    "number": ("whole", "number"),
    "whole": ("whole",),
    "bool": ("bool",),
    "date": ("date",),
    "": ("text", "whole", "number", "bool", "date"),
}
_CALLED = {"text": "text", "number": "numbers", "whole": "whole numbers", "bool": "bools", "date": "dates or times"}
_PAGE = "docs/reference/contract.md shows each key"


def check_schema(contract: Contract, schema: pyarrow.Schema, outputs: Sequence[pyarrow.Field] | None = None) -> None:
    """Compare the columns that a contract names with those that are there. Everything that is wrong is said at once.

    outputs: the columns that the models give; with them the rules of scores are compared too.
    Raises CheckFailed (`data["reasons"]`) where the input is not as agreed: a column is missing, or of another type.
    Raises BadInput where the contract itself cannot be: a pattern that is none, an output that no model gives.
    """
    reasons = [reason for rules in contract.rules for reason in _column_reasons(contract, rules, schema)]
    fresh = contract.freshness
    if fresh and fresh.column:
        found = None if fresh.column not in schema.names else schema.field(fresh.column).type
        if found is None:
            reasons.append(
                f"the column {fresh.column!r}, which freshness is told by, is missing{_near(fresh.column, schema)}"
            )
        elif family_of_type(found) != "date":
            reasons.append(
                f"the column {fresh.column!r}, which freshness is told by, holds {found}, not dates or times"
            )
    if reasons:
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        raise CheckFailed(
            f"the input is not what the contract {contract.name} says: {reasons[0]}{more}",
            "mend what writes the input, or the contract where the change was meant",
            why="; ".join(reasons[1:]), reasons=reasons,
        )  # fmt: skip
    if outputs is not None:
        _check_scores(contract, {field.name: field.type for field in outputs})


def family_of_type(kind: Any) -> str:
    """ "text", "whole", "number", "bool", "date", "null", or "" for what no rule is for."""
    if types.is_dictionary(kind):
        return family_of_type(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "text"
    if types.is_integer(kind):
        return "whole"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_boolean(kind):
        return "bool"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    return "null" if types.is_null(kind) else ""


def _column_reasons(contract: Contract, rules: ColumnRules, schema: pyarrow.Schema) -> list[str]:
    name = rules.name
    if rules.pattern:
        _check_pattern(contract, rules)
    if name not in schema.names:
        return [f"the column {name!r} is missing{_near(name, schema)}"]
    if schema.names.count(name) > 1:
        return [f"the column {name!r} is there {schema.names.count(name)} times"]
    kind = schema.field(name).type
    family, wanted = family_of_type(kind), family_of(rules)
    if family == "null":
        return [f"the column {name!r} holds no value at all, and is to hold {_CALLED[wanted]}"] if rules.type else []
    if family not in _TAKES[wanted]:
        said = _CALLED.get(wanted, "text, numbers, bools, dates or times")
        anew = (
            ": was it encoded anew?" if rules.categories is not None and wanted in ("text", "number", "whole") else ""
        )
        return [f"the column {name!r} holds {kind}, and is to hold {said}{anew}"]
    if rules.max_categories is not None and family in ("bool", "date"):
        return [f"the column {name!r} holds {kind}, which has no categories"]
    return []


def _check_pattern(contract: Contract, rules: ColumnRules) -> None:
    try:
        pyarrow.compute.match_substring_regex(pyarrow.array([""]), full_pattern(rules.pattern))
    except pyarrow.ArrowInvalid as fault:
        raise BadInput(
            f"{contract.name}: columns.{rules.name}.pattern is no regular expression",
            "RE2's syntax: no look-ahead and no back-references", why=str(fault),
        ) from fault  # fmt: skip


def full_pattern(pattern: str) -> str:
    """An expression that matches the whole text or nothing."""
    return rf"\A(?:{pattern})\z"


def _check_scores(contract: Contract, outputs: dict[str, Any]) -> None:
    for rules in contract.scores:
        if rules.name not in outputs:
            near = difflib.get_close_matches(rules.name, outputs, n=1)
            raise BadInput(
                f"{contract.name}: scores.{rules.name}: the model has no output of this name",
                f"is {near[0]} meant?" if near else f"its outputs are {', '.join(outputs)}",
            )
        kind = outputs[rules.name]
        vector = types.is_fixed_size_list(kind)
        family = family_of_type(kind.value_type if vector else kind)
        if rules.shares and vector:
            raise BadInput(f"{contract.name}: scores.{rules.name}.shares: the output is a vector, no label", _PAGE)
        numeric = {"min": rules.min, "max": rules.max, "max_zero_share": rules.max_zero_share}
        for key, value in numeric.items():
            if value is not None and family not in ("whole", "number"):
                raise BadInput(f"{contract.name}: scores.{rules.name}.{key}: the output is {kind}, no number", _PAGE)


def _near(name: str, schema: pyarrow.Schema) -> str:
    near = difflib.get_close_matches(name, schema.names, n=1)
    return f" (there is {near[0]!r})" if near else ""
