"""Each scored row with its label: one table `rows` in the database, made once, from which every figure is then taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.evaluation.answers import CLASSES, Answers, class_text
from mlpack_edge.batch.evaluation.database import fetch, naming_faults
from mlpack_edge.batch.evaluation.groups import Grouping, group_tables
from mlpack_edge.batch.evaluation.tables import Table
from mlpack_edge.batch.sql_text import name, text
from mlpack_edge.core.errors import BadInput

#: DuckDB's types of one kind; keys of different kinds are not compared.
_KINDS = {
    "text": ("VARCHAR", "ENUM"),
    "whole number": (
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
    ),
    "number with a fraction": ("FLOAT", "DOUBLE", "DECIMAL"),
    "boolean": ("BOOLEAN",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counts:
    """scored: rows of the table. labels: of the label source, of which `without_key` have no key, `unmatched` meet no scored
    row, and `empty` meet one but hold no label. Null where labels lie in the table itself."""

    scored: int
    labelled: int
    labels: int | None = None
    unmatched: int | None = None
    empty: int | None = None
    without_key: int | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """How rows are ranked in the table `rows`: one number a row for `positive`, or a list in the order of the classes."""

    positive: int | None


def label_types(scores: Table, on: Sequence[str], label: str, answers: Answers) -> dict[str, str]:
    """The types in which labels are read from files that have none: keys as the scores have them."""
    kinds = "VARCHAR" if answers.text else "BOOLEAN" if answers.truthful else "DOUBLE"
    return {**{key: "VARCHAR" if _kind(scores.columns[key]) == "text" else scores.columns[key] for key in on}, label: kinds}  # fmt: skip


def join_rows(
    connection: Any, scores: Table, labels: Table | None, on: Sequence[str], label: str, groupings: Sequence[Grouping],
    answers: Sequence[Answers], ranking: Ranking,
) -> Counts:  # fmt: skip
    """Make the table `rows`: `truth`, `p0` `s0` `v0` (and `p1` ... of a challenger), and a code `g0` ... for each grouping.

    labels: None where `label` is a column of the scores. Raises BadInput, by name, for keys that come twice, keys or labels
    of another type, infinite labels, and predictions that are not there.
    """
    truth = _truth(labels or scores, label, answers[0])
    if labels is None:
        connection.execute(f"CREATE VIEW pairs AS SELECT s.*, {truth} AS \"mlpack truth\", true AS \"mlpack met\" FROM {scores.relation} s")  # fmt: skip
    else:
        _check_keys(scores, labels, on)
        with naming_faults(labels.title):
            _copy_labels(connection, labels, on, truth, groupings)
        _refuse_twice(connection, "labels", on, [f"k{i}" for i in range(len(on))], labels.title)
        _refuse_twice(connection, scores.relation, on, [name(key) for key in on], scores.title)
        meeting = " AND ".join(f"s.{name(key)} = l.k{i}" for i, key in enumerate(on))
        brought = "".join(f", l.{_carried(i)}" for i, group in enumerate(groupings) if group.of_labels)
        connection.execute(
            f"CREATE VIEW pairs AS SELECT s.*, l.truth AS \"mlpack truth\", l.truth_is_known IS NOT NULL AS \"mlpack met\"{brought} "
            f"FROM {scores.relation} s LEFT JOIN labels l ON {meeting}"
        )  # fmt: skip
    coded = group_tables(connection, scores, groupings, [_carried(i) for i in range(len(groupings))])
    parts = ["t.\"mlpack truth\" AS truth", "t.\"mlpack met\" AS met"]  # fmt: skip
    for number, one in enumerate(answers):
        parts += _answer_columns(one, number, ranking)
    codes = "".join(
        f" LEFT JOIN group_{i} c{i} ON {value} IS NOT DISTINCT FROM c{i}.value" for i, value in enumerate(coded)
    )
    parts += [f"c{i}.code AS g{i}" for i in range(len(coded))]
    with naming_faults(scores.title):
        connection.execute(f"CREATE TABLE rows AS SELECT {', '.join(parts)} FROM pairs t{codes}")
    if not answers[0].text:
        # NaN is a label that is missing. It is looked for in our own table: on Parquet files, whose statistics do not tell of
        # NaN, DuckDB 2.0 takes `isnan` for false (duckdb#25521).
        connection.execute("UPDATE rows SET truth = NULL WHERE isnan(truth)")
    _check_rows(connection, scores, answers, label, (labels or scores).title)
    return _counted(connection, labels is not None)


def _carried(number: int) -> str:
    return f'"mlpack group {number}"'


def _copy_labels(connection: Any, labels: Table, on: Sequence[str], truth: str, groupings: Sequence[Grouping]) -> None:
    keys = ", ".join(f"s.{name(key)} AS k{i}" for i, key in enumerate(on))
    carried = "".join(
        f", s.{name(group.column)} AS {_carried(i)}" for i, group in enumerate(groupings) if group.of_labels
    )
    connection.execute(
        f"CREATE TABLE labels AS SELECT {keys}, {truth} AS truth, true AS truth_is_known{carried} FROM {labels.relation} s"
    )


def _truth(table: Table, label: str, answers: Answers) -> str:
    """The label as text or as DOUBLE. Raises BadInput for another type."""
    kind = table.column(label, "--label")
    found, column = _kind(kind), f"s.{name(label)}"
    if answers.task == CLASSES and answers.text:
        if found == "text":
            return f"CAST({column} AS VARCHAR)"
        shown = ", ".join(class_text(known) for known in answers.classes[:5])
        raise BadInput(
            f"the labels in {label!r} of {table.title} are of type {kind}; the model's classes are texts",
            f"label rows with the model's classes{': ' + shown if shown else ''}",
        )
    numbers = ("whole number", "number with a fraction") + (("boolean",) if answers.task == CLASSES else ())
    if found not in numbers:
        raise BadInput(
            f"the labels in {label!r} of {table.title} are of type {kind}; the model answers with numbers",
            "label rows with numbers" if answers.task != CLASSES
            else "label rows with the model's classes: " + ", ".join(class_text(known) for known in answers.classes[:5]),
        )  # fmt: skip
    return f"CAST({column} AS DOUBLE)"


def _answer_columns(one: Answers, number: int, ranking: Ranking) -> list[str]:
    if one.task != CLASSES:
        return [f"CAST(t.{name(one.value)} AS DOUBLE) AS v{number}"]
    ranks = f"t.{name(one.ranks)}"
    kind = "VARCHAR" if one.text else "DOUBLE"
    if one.label:
        chosen = f"CAST(t.{name(one.label)} AS {kind})"
    else:
        listed = ", ".join(text(class_text(known)) if one.text else class_text(known) for known in one.classes)
        chosen = f"CAST(([{listed}])[list_position({ranks}, list_max({ranks}))] AS {kind})"
    columns = [f"{chosen} AS p{number}"]
    if not one.ranks:
        return columns
    if not one.width:
        columns.append(f"{'' if ranking.positive == 1 else '-'}{ranks} AS s{number}")
    else:
        columns.append(f"{ranks}{'' if ranking.positive is None else f'[{ranking.positive + 1}]'} AS s{number}")
    return columns


def _check_keys(scores: Table, labels: Table, on: Sequence[str]) -> None:
    for key in on:
        kinds = [_kind(table.column(key, "--on")) for table in (scores, labels)]
        types = [table.columns[key] for table in (scores, labels)]
        if "FLOAT" in types or "DOUBLE" in types:
            at = scores if types[0] in ("FLOAT", "DOUBLE") else labels
            raise BadInput(
                f"the key {key!r} is of type {at.columns[key]} in {at.title}, which does not tell all whole numbers apart",
                "write keys as whole numbers or text (pandas: astype('Int64'))",
            )
        if kinds[0] != kinds[1]:
            raise BadInput(
                f"the key {key!r} is {types[0]} in {scores.title} and {types[1]} in {labels.title}",
                "write the labels with keys of the same type; nothing is converted, since 007 and 7 may be two rows",
            )


def _refuse_twice(connection: Any, relation: str, on: Sequence[str], keys: Sequence[str], title: str) -> None:
    """A key that comes twice would count a row twice."""
    listed, some = ", ".join(keys), " AND ".join(f"{key} IS NOT NULL" for key in keys)
    again = f"SELECT {listed}, count(*) AS times FROM {relation} WHERE {some} GROUP BY {listed} HAVING count(*) > 1"
    found = fetch(connection, f"SELECT * FROM ({again}) ORDER BY ALL LIMIT 1")
    if not found:
        return
    number = fetch(connection, f"SELECT count(*) FROM ({again})")[0][0]
    first = ", ".join(f"{key}={value!r}" for key, value in zip(on, found[0][:-1], strict=True))
    raise BadInput(
        f"{title}: {number:,} {'key comes' if number == 1 else 'keys come'} more than once, such as {first} ({found[0][-1]} times)",
        "keep one row a key, or name more columns with --on: such rows would count twice",
    )  # fmt: skip


def _check_rows(connection: Any, scores: Table, answers: Sequence[Answers], label: str, title: str) -> None:
    """Raise for what no figure can be taken of."""
    if answers[0].task != CLASSES:
        infinite = fetch(connection, "SELECT count(*) FROM rows WHERE isinf(truth)")[0][0]
        if infinite:
            raise BadInput(f"{title}: {infinite:,} labels in {label!r} are infinite", "leave them empty, or mend them")
    for number, one in enumerate(answers):
        column = f"p{number}" if one.task == CLASSES else f"v{number}"
        bad = f"{column} IS NULL" + ("" if one.task == CLASSES else f" OR NOT isfinite({column})")
        if one.ranks:
            lost = f"len(list_filter(s{number}, lambda x: x IS NULL OR isnan(x))) > 0" if _listed(connection, number) else f"isnan(s{number})"  # fmt: skip
            bad += f" OR s{number} IS NULL OR {lost}"
        broken = fetch(connection, f"SELECT count(*) FROM rows WHERE {bad}")[0][0]
        if broken:
            raise BadInput(
                f"{scores.title}: {counted(broken, 'row')} {'has' if broken == 1 else 'have'} no finite score of the {'challenger' if one.prefix else 'model'}",
                "mlpack score writes no such row: score again",
            )


def _listed(connection: Any, number: int) -> bool:
    kind = fetch(connection, f"SELECT typeof(s{number}) FROM rows LIMIT 1")
    return bool(kind) and str(kind[0][0]).endswith("]")


def _counted(connection: Any, joined: bool) -> Counts:
    scored, met, labelled = fetch(connection, "SELECT count(*), count(*) FILTER (met), count(truth) FROM rows")[0]
    if not joined:
        return Counts(scored, labelled)
    keys = [row[0] for row in fetch(connection, "DESCRIBE labels") if row[0].startswith("k")]
    unknown = " OR ".join(f"{key} IS NULL" for key in keys)
    total, without = fetch(connection, f"SELECT count(*), count(*) FILTER ({unknown}) FROM labels")[0]
    return Counts(scored, labelled, total, total - without - met, met - labelled, without)


def _kind(type_name: str) -> str:
    plain = type_name.split("(")[0]
    return next((kind for kind, names in _KINDS.items() if plain in names), plain.lower())
