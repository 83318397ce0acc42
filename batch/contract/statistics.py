"""What the table rules of a contract need to know of a shard, gathered in the pass that scores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow
from pyarrow import types

from mlpack_edge.batch.contract.checker import UNITS, settled
from mlpack_edge.batch.contract.columns import Views
from mlpack_edge.batch.contract.merging import KEPT, plain_number
from mlpack_edge.batch.contract.rules import ColumnRules, Contract
from mlpack_edge.batch.contract.schema import check_schema, family_of_type
from mlpack_edge.batch.contract.score_statistics import ScoreStatistics
from mlpack_edge.batch.contract.times import DAY
from mlpack_edge.batch.contract.value_counts import ValueCounts
from mlpack_edge.batch.scoring.findings import Findings

Json = dict[str, Any]


class ContractStatistics:
    """A `Collector`: counts, extremes and distinct values of the columns and scores that table rules look at.

    All rows count, rejected ones too: the rules are about what came in. Of scores the accepted rows count. Raises what
    `RowChecker` raises; KeyError at the first batch whose outputs lack one that the contract names. views: shared with
    `RowChecker`, so that a column is looked at once.
    """

    name = "contract"

    def __init__(self, contract: Contract, schema: pyarrow.Schema, views: Views | None = None) -> None:
        check_schema(contract, schema)
        self._views = views or Views()
        self._rows = 0
        self._columns = {
            rules.name: _ColumnStatistics(rules, schema.field(rules.name).type)
            for rules in settled(contract).rules
            if has_table_rule(rules)
        }
        self._scores = {rules.name: ScoreStatistics(rules) for rules in contract.scores}
        fresh = contract.freshness
        self._fresh = fresh.column if fresh else ""
        self._unit = _unit_of(schema.field(self._fresh).type) if self._fresh else 1
        self._newest: int | None = None

    def update(self, batch: pyarrow.RecordBatch, outputs: Mapping[str, Any], findings: Findings) -> None:
        """See `Collector`."""
        self._rows += batch.num_rows
        views = self._views.of(batch)
        for column in self._columns.values():
            column.update(views)
        if self._fresh:
            newest = views.numbers(self._fresh).high
            if newest is not None:
                self._newest = max(int(newest) * self._unit, self._newest if self._newest is not None else -(2**127))
        for name, score in self._scores.items():
            score.update(outputs[name], findings.accepted)

    def state(self) -> Json:
        """See `merging.merge_statistics`."""
        return {
            "rows": self._rows,
            "newest": self._newest,
            "columns": {name: column.state() for name, column in self._columns.items()},
            "scores": {name: score.state() for name, score in self._scores.items()},
        }


def has_table_rule(rules: ColumnRules) -> bool:
    """Whether a rule is of the column as a whole; the categories are: where hardly any is known, it was encoded anew."""
    shares = (rules.max_null_share, rules.max_zero_share, rules.categories, rules.max_categories)
    return rules.not_constant or any(rule is not None for rule in shares)


def _unit_of(kind: Any) -> int:
    """Nanoseconds of one step of a type of dates or times."""
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return DAY if types.is_date32(kind) else 10**6 if types.is_date64(kind) else UNITS[kind.unit]


class _ColumnStatistics:
    """Of one column; only what its rules ask for is counted."""

    def __init__(self, rules: ColumnRules, kind: Any) -> None:
        kind = kind.value_type if types.is_dictionary(kind) else kind
        text = family_of_type(kind) == "text"
        self._name = rules.name
        self._zeros: int | None = 0 if rules.max_zero_share is not None else None
        self._numeric = not text and (rules.max_zero_share is not None or rules.not_constant)
        wanted = rules.max_categories or 0
        limit = max(KEPT, 2 * wanted) if wanted or (rules.not_constant and text) else None
        self._values = ValueCounts(limit, rules.categories) if limit or rules.categories is not None else None
        self._nulls = 0
        self._low: int | float | None = None
        self._high: int | float | None = None

    def update(self, views: Views) -> None:
        if self._values:
            self._values.update(views.coded(self._name))
        if self._numeric:
            numbers = views.numbers(self._name)
            if self._zeros is not None:
                self._zeros += numbers.zeros()
            if numbers.low is not None and numbers.high is not None:
                self._low = numbers.low if self._low is None else min(self._low, numbers.low)
                self._high = numbers.high if self._high is None else max(self._high, numbers.high)
        missing = views.missing(self._name)
        self._nulls += 0 if missing is None else int(np.count_nonzero(missing))

    def state(self) -> Json:
        state: Json = {"nulls": self._nulls}
        if self._numeric:
            state |= {"low": plain_number(self._low), "high": plain_number(self._high)}
        if self._zeros is not None:
            state["zeros"] = self._zeros
        return state | (self._values.state() if self._values else {})
