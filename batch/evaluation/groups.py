"""By day and by segment: which rows belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.batch.evaluation.database import fetch
from mlpack_edge.batch.evaluation.tables import Table
from mlpack_edge.batch.sql_text import name
from mlpack_edge.core.errors import BadInput

#: Beyond it a column is a key rather than a segment.
MOST_GROUPS = 2000


@dataclass(frozen=True, slots=True)
class Grouping:
    """column: that rows are told apart by; of_labels: whether it comes with the labels. day: it is a date or a time. text: it is a text,
    which is ordered by the number that it spells where it spells one."""

    column: str
    of_labels: bool
    day: bool
    text: bool


@dataclass(frozen=True, slots=True)
class Group:
    """code: of the rows in the column `g<number>`. value: as text, None for rows without one."""

    code: int
    value: str | None


def grouping(column: str, option: str, scores: Table, labels: Table | None, on: Sequence[str]) -> Grouping:
    """The scores' column of that name, else the labels'. Raises BadInput where neither has it."""
    of_labels = column not in scores.columns and labels is not None and column in labels.columns
    kind = (labels if of_labels and labels is not None else scores).column(column, option)
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        raise BadInput(
            f"{option}: {column!r} is of type {kind}; rows are grouped by plain values", "name another column"
        )
    return Grouping(column, of_labels, kind.startswith(("DATE", "TIMESTAMP")), kind == "VARCHAR")


def group_tables(connection: Any, scores: Table, groupings: Sequence[Grouping], carried: Sequence[str]) -> list[str]:
    """Make `group_0` ... (code from 0 in the order of values, value) and give the SQL of each row's value in `pairs t`.

    carried: the columns in which values of labels are held. Raises BadInput where a column has more than MOST_GROUPS values.
    """
    found = []
    for number, group in enumerate(groupings):
        kept = carried[number] if group.of_labels else name(group.column)
        source = "labels" if group.of_labels else scores.relation
        shown = "CAST(CAST({0}{1} AS DATE) AS VARCHAR)" if group.day else "CAST({0}{1} AS VARCHAR)"
        value = shown.format("", kept)
        distinct = f"SELECT DISTINCT {value} AS value, {kept if not group.day else f'CAST({kept} AS DATE)'} AS rank FROM {source}"
        count = fetch(connection, f"SELECT count(*) FROM (SELECT DISTINCT value FROM ({distinct}) LIMIT {MOST_GROUPS + 2})")[0][0]  # fmt: skip
        if count > MOST_GROUPS:
            raise BadInput(
                f"the column {group.column!r} has more than {MOST_GROUPS:,} different values",
                "group by a column of few values, such as a date or a region",
            )
        order = "TRY_CAST(value AS BIGINT) NULLS LAST" if group.text else "rank"
        connection.execute(
            f"CREATE TABLE group_{number} AS SELECT row_number() OVER (ORDER BY value IS NULL, {order}, value) - 1 AS code, value "
            f"FROM (SELECT value, min(rank) AS rank FROM ({distinct} UNION ALL SELECT NULL, NULL) GROUP BY value)"
        )
        found.append(shown.format("t.", kept))
    return found


def groups_of(connection: Any, number: int) -> list[Group]:
    """The groups of the grouping in the order of their values."""
    rows = fetch(connection, f"SELECT code, value FROM group_{number} ORDER BY code")
    return [Group(code, value) for code, value in rows]
