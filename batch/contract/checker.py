"""Which rows of a batch break a row rule of a contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from pyarrow import types

from mlpack_edge.batch.contract.columns import Mask, Numbers, Views, mask_of
from mlpack_edge.batch.contract.known import KnownValues
from mlpack_edge.batch.contract.rules import ColumnRules, Contract, Limit
from mlpack_edge.batch.contract.schema import check_schema, family_of_type, full_pattern
from mlpack_edge.batch.contract.times import DAY, nanoseconds_of
from mlpack_edge.batch.scoring.findings import Finding, Findings, found
from mlpack_edge.core.errors import BadInput

Fault = tuple[Finding, Mask]
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


class RowChecker:
    """The row rules of a contract, compiled for the columns of a schema.

    Row by row what comes first counts: columns in the order of the contract; of a column nulls, infinities, min, max,
    categories, pattern. Raises what `check_schema` raises; BadInput where categories are the model's and were not
    given to `contract_from_text`. views: shared with `ContractStatistics`, so that a column is looked at once.
    """

    def __init__(self, contract: Contract, schema: pyarrow.Schema, views: Views | None = None) -> None:
        check_schema(contract, schema)
        self._views = views or Views()
        self._columns = [
            _ColumnChecker(rules, schema.field(rules.name).type)
            for rules in settled(contract).rules
            if has_row_rule(rules) and family_of_type(schema.field(rules.name).type) != ""
        ]

    def check(self, batch: pyarrow.RecordBatch) -> Findings:
        """batch: of any rows of the input, with the contract's columns among its own."""
        return found(batch.num_rows, self._faults(batch))

    def _faults(self, batch: pyarrow.RecordBatch) -> Iterator[Fault]:
        views = self._views.of(batch)
        for column in self._columns:
            yield from column.faults(views)


def settled(contract: Contract) -> Contract:
    """The contract itself. Raises BadInput where it waits for the model's categories."""
    for rules in contract.rules:
        if rules.categories_from:
            raise BadInput(
                f'{contract.name}: columns.{rules.name}.categories_from = "model", and no model is given',
                "list them: categories = [...]",
            )
    return contract


def has_row_rule(rules: ColumnRules) -> bool:
    """Whether a rule is of single rows."""
    limited = rules.min is not None or rules.max is not None
    return limited or rules.nulls == "reject" or rules.unseen == "reject" or rules.finite or bool(rules.pattern)


class _ColumnChecker:
    """The row rules of one column."""

    def __init__(self, rules: ColumnRules, kind: Any) -> None:
        self.name = rules.name
        kind = kind.value_type if types.is_dictionary(kind) else kind
        family = family_of_type(kind)
        self._null = Finding("nulls", rules.name, _null_words(kind)) if rules.nulls == "reject" else None
        numeric = family in ("whole", "number", "date")
        ranged = rules.min is not None or rules.max is not None or rules.finite
        self._numbers = _Range(rules, kind) if numeric and ranged else None
        self._known = KnownValues(rules.categories) if rules.categories and rules.unseen == "reject" else None
        self._pattern = full_pattern(rules.pattern) if rules.pattern and family == "text" else ""
        self._unseen = Finding("categories", rules.name, "none of the known categories")
        self._unlike = Finding("pattern", rules.name, f"does not match {rules.pattern}")
        self._looked_at: tuple[Any, Mask] | None = None

    def faults(self, views: Views) -> Iterator[Fault]:
        """The faults of each rule that some row breaks, in the order of the rules."""
        numbers = views.numbers(self.name) if self._numbers else None
        values = views.coded(self.name) if self._known or self._pattern else None
        if self._null and (missing := views.missing(self.name)) is not None:
            yield self._null, missing
        if self._numbers and numbers:
            yield from self._numbers.faults(numbers)
        if values is not None and self._known and (unknown := self._known.unknown(values.values)).any():
            yield self._unseen, values.rows(unknown)
        if values is not None and self._pattern and (unlike := self._unlike_values(values.values)).any():
            yield self._unlike, values.rows(unlike)

    def _unlike_values(self, values: Any) -> Mask:
        """bool, for each distinct value: the pattern does not match it."""
        if self._looked_at is None or not self._looked_at[0].equals(values):
            matched = pyarrow.compute.match_substring_regex(values, self._pattern).fill_null(True)
            self._looked_at = (values, ~mask_of(matched))
        return self._looked_at[1]


def _null_words(kind: Any) -> str:
    return "null or NaN" if types.is_floating(kind) else "null"


class _Range:
    """min, max and finite of a column of numbers or times: the extremes first, rows only where those are outside."""

    def __init__(self, rules: ColumnRules, kind: Any) -> None:
        name = rules.name
        self._low = None if rules.min is None else limit_of(rules.min, kind, upper=False)
        self._high = None if rules.max is None else limit_of(rules.max, kind, upper=True)
        self._below = Finding("min", name, f"below {rules.min}")
        self._above = Finding("max", name, f"above {rules.max}")
        self._infinite = Finding("finite", name, "infinite") if rules.finite else None

    def faults(self, numbers: Numbers) -> Iterator[Fault]:
        if numbers.low is None or numbers.high is None:
            return
        if self._infinite and (math.isinf(numbers.low) or math.isinf(numbers.high)):
            yield self._infinite, numbers.where(np.isinf(numbers.values))
        if self._low is not None and numbers.low < self._low:
            yield self._below, numbers.where(numbers.values < self._low)
        if self._high is not None and numbers.high > self._high:
            yield self._above, numbers.where(numbers.values > self._high)


def limit_of(limit: Limit, kind: Any, *, upper: bool) -> int | float:
    """A limit as the values of an Arrow type are counted: whole where they are, rounded as they are where they are not.

    So that a float32 column that holds 0.1 does not exceed a maximum of 0.1. upper: a date lasts to its end.
    """
    rounded: Callable[[float], int] = math.floor if upper else math.ceil
    if isinstance(limit, date):
        unit = DAY if types.is_date32(kind) else 10**6 if types.is_date64(kind) else UNITS[kind.unit]
        moment = nanoseconds_of(limit, end=upper)
        return moment // unit if upper else -(-moment // unit)
    if types.is_integer(kind):
        return rounded(limit)
    with np.errstate(over="ignore"):  # beyond the type's range no value lies
        if types.is_float16(kind):
            return float(np.float16(limit))
        if types.is_float32(kind):
            return float(np.float32(limit))
    return float(limit)
