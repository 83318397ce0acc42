"""The rules of a data contract as values. They say what is allowed; whether it was kept is judged elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from mlpack_edge.core.signature import Category

Limit = int | float | date | datetime

#: Fewer values say nothing about a column as a whole: whether it is constant, or encoded anew.
FEW = 20
#: A column is called encoded anew where at most this share of its values is among the known categories.
STILL_KNOWN = 0.01


@dataclass(frozen=True, slots=True)
class RowsRule:
    """Bounds on the number of rows of a run. within: share of the last run's rows that it may differ by."""

    min: int | None = None
    max: int | None = None
    within: float | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the newest data may be, and how far ahead of the clock, in seconds.

    column: of times or dates, "" where the times of the input files count (`file`). timezone: of times without one,
    an IANA name; "" is UTC. A date counts from its first moment.
    """

    max_age: float
    column: str = ""
    file: bool = False
    max_ahead: float | None = None
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """Rules of one input column; None, "" and False are no rule.

    type: "text", "number", "whole", "bool" or "date". nulls: "reject" (the row), "allow" (said aloud: no rule), or ""
    with `max_null_share`, above which the run stops. categories: the known values; unseen: "reject" (the row), "allow", or
    "" with `max_unseen_share`. min, max: of numbers or dates, both allowed themselves; rows outside are rejected, as are
    infinities with `finite` and texts that `pattern` (RE2, of the whole text) does not match. max_categories: of distinct
    values; max_zero_share: of the values that are there; not_constant, unique: of the column as a whole.
    """

    name: str
    type: str = ""
    nulls: str = ""
    max_null_share: float | None = None
    categories: tuple[Category, ...] | None = None
    categories_from: str = ""
    unseen: str = ""
    max_unseen_share: float | None = None
    max_categories: int | None = None
    min: Limit | None = None
    max: Limit | None = None
    finite: bool = False
    max_zero_share: float | None = None
    not_constant: bool = False
    unique: bool = False
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """Rules of one output; a score that breaks one stops the run.

    min, max: of every number in it, both allowed themselves. shares: for each label, written as text, the least and the
    largest share of the scored rows.
    """

    name: str
    min: float | None = None
    max: float | None = None
    max_zero_share: float | None = None
    not_constant: bool = False
    shares: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contract:
    """A whole contract. name: what it is called in messages. text: the TOML that it was read from.

    max_rejected: share of rows that may be rejected, None where it does not say.
    """

    name: str
    text: str
    max_rejected: float | None = None
    rows: RowsRule = field(default_factory=RowsRule)
    freshness: Freshness | None = None
    rules: tuple[ColumnRules, ...] = ()
    scores: tuple[ScoreRules, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns that it looks at, each once."""
        fresh = (self.freshness.column,) if self.freshness and self.freshness.column else ()
        return tuple(dict.fromkeys((*(rules.name for rules in self.rules), *fresh)))

    @property
    def nullable(self) -> tuple[str, ...]:
        """The columns of which it says that they may be null, always or up to a share."""
        return tuple(rules.name for rules in self.rules if rules.nulls == "allow" or rules.max_null_share is not None)

    @property
    def unique(self) -> tuple[str, ...]:
        """The columns in which no value may come twice; checked once all rows are there."""
        return tuple(rules.name for rules in self.rules if rules.unique)

    @property
    def dictionary(self) -> tuple[str, ...]:
        """The columns that are best read as dictionaries: texts of which a value is looked up or counted."""
        return tuple(rules.name for rules in self.rules if counts_values(rules) and family_of(rules) in ("", "text"))


def counts_values(rules: ColumnRules) -> bool:
    """Whether a rule asks which values a column has, not only how large they are."""
    return rules.categories is not None or bool(rules.categories_from) or rules.max_categories is not None


def family_of(rules: ColumnRules) -> str:
    """What kind of column the rules are for: its type, or what the other rules can only mean; "" where they do not say."""
    if rules.type:
        return rules.type
    limits = [limit for limit in (rules.min, rules.max) if limit is not None]
    if limits:
        return "date" if isinstance(limits[0], date) else "number"
    if rules.finite or rules.max_zero_share is not None:
        return "number"
    if rules.pattern:
        return "text"
    if rules.categories:
        item = rules.categories[0]
        return "text" if isinstance(item, str) else "bool" if isinstance(item, bool) else "number"
    return ""


def within_share(count: int, share: float, rows: int) -> bool:
    """Whether `count` of `rows` is at most `share`, which means the decimal that it is written as."""
    return count <= Fraction(repr(share)) * rows


def at_least_share(count: int, share: float, rows: int) -> bool:
    """Whether `count` of `rows` is at least `share`, which means the decimal that it is written as."""
    return count >= Fraction(repr(share)) * rows
