"""Every figure of one model over the table `rows`: as a whole, by day, by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlpack_edge.batch.evaluation.answers import CLASSES, MOST_RANKED_CLASSES, Answers, class_text
from mlpack_edge.batch.evaluation.classification import classification_metrics
from mlpack_edge.batch.evaluation.database import fetch
from mlpack_edge.batch.evaluation.groups import Group
from mlpack_edge.batch.evaluation.joining import Ranking
from mlpack_edge.batch.evaluation.ranking import area_metric, macro_area_metric, ranked_areas
from mlpack_edge.batch.evaluation.regression import errors, regression_metrics
from mlpack_edge.batch.evaluation.request import Metric
from mlpack_edge.batch.sql_text import text

LABELLED = "truth IS NOT NULL"
#: The group of all rows, as SQL, and its code.
ALL, ALL_CODE = "0", 0
NO_RANKS = "the model gives no probabilities or scores in the order of its classes"


def sizes(connection: Any, group: str) -> dict[int, tuple[int, int]]:
    """Scored and labelled rows of each group."""
    rows = fetch(connection, f"SELECT {group} AS grp, count(*), count(truth) FROM rows GROUP BY grp ORDER BY grp")
    return {code: (scored, labelled) for code, scored, labelled in rows}


def figures(
    connection: Any, one: Answers, number: int, ranking: Ranking, group: str, enough: Mapping[int, int]
) -> dict[int, list[Metric]]:
    """The metrics of each group that has enough rows. enough: labelled rows by code, of those groups."""
    if not enough:
        return {}
    if one.task != CLASSES:
        found = errors(connection, group, f"v{number}", LABELLED)
        return {code: regression_metrics(found[code]) for code in enough}
    confusions = confusion_of(connection, group, number)
    positive = None if ranking.positive is None else truth_value(one, ranking.positive)
    metrics = {code: classification_metrics(confusions[code], positive) for code in enough}
    for code, metric in _areas(connection, one, number, ranking, group, enough).items():
        metrics[code].append(metric)
    return metrics


def confusion_of(connection: Any, group: str, number: int) -> dict[int, dict[tuple[Any, Any], int]]:
    """By group, the rows of each (label, prediction)."""
    rows = fetch(
        connection,
        f"SELECT {group} AS grp, truth, p{number}, count(*) FROM rows WHERE {LABELLED} GROUP BY ALL ORDER BY ALL",
    )
    found: dict[int, dict[tuple[Any, Any], int]] = {}
    for code, label, made, count in rows:
        found.setdefault(code, {})[label, made] = count
    return found


def _areas(
    connection: Any, one: Answers, number: int, ranking: Ranking, group: str, enough: Mapping[int, int]
) -> dict[int, Metric]:
    if not one.ranks:
        return {code: Metric("auc", None, None, rows, reason=NO_RANKS) for code, rows in enough.items()}
    if ranking.positive is not None:
        areas = ranked_areas(connection, group, f"s{number}", is_class(one, ranking.positive), LABELLED)
        return {code: area_metric(areas.get(code), rows) for code, rows in enough.items()}
    if len(one.classes) > MOST_RANKED_CLASSES:
        reason = f"not taken for more than {MOST_RANKED_CLASSES} classes; name one with --positive"
        return {code: Metric("auc", None, None, rows, "macro", reason) for code, rows in enough.items()}
    each = {
        class_text(known): ranked_areas(connection, group, f"s{number}[{index + 1}]", is_class(one, index), LABELLED)
        for index, known in enumerate(one.classes)
    }
    return {
        code: macro_area_metric({known: areas.get(code) for known, areas in each.items()}, rows)
        for code, rows in enough.items()
    }


def is_class(one: Answers, index: int) -> str:
    """SQL: whether the label is that class."""
    known = one.classes[index]
    return f"truth = {text(known)}" if isinstance(known, str) else f"truth = {float(known)!r}"


def truth_value(one: Answers, index: int) -> str | float:
    """The class as the table `rows` holds it."""
    known = one.classes[index]
    return known if isinstance(known, str) else float(known)


def unknown_classes(confusion: Mapping[tuple[Any, Any], int], one: Answers) -> dict[str, int]:
    """Labels that are no class of the model, with their rows, most frequent first. Empty where its classes are not known."""
    if not one.classes:
        return {}
    known = {truth_value(one, index) for index in range(len(one.classes))}
    found: dict[str, int] = {}
    for (label, _), count in confusion.items():
        if label not in known:
            found[class_text(label)] = found.get(class_text(label), 0) + count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def group_records(
    found: Mapping[int, list[Metric]], groups: Sequence[Group], counts: Mapping[int, tuple[int, int]], column: str,
    min_rows: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """The report of each group that has rows; one with too few labels says so in place of figures."""
    records = []
    for group in groups:
        scored, labelled = counts.get(group.code, (0, 0))
        if not scored:
            continue
        record = {
            "column": column, "value": group.value, "rows": scored, "labelled": labelled,
            "metrics": [metric.to_json() for metric in found.get(group.code, [])],
        }  # fmt: skip
        if labelled < min_rows:
            record["reason"] = too_few(labelled, min_rows)
        records.append(record)
    return records


def too_few(labelled: int, min_rows: int) -> str:
    """Why there are no figures."""
    return f"{labelled:,} labelled rows; figures are given from {min_rows:,} on (--min-rows)"
