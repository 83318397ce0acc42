"""Stored scores against labels: the functions that a child process runs.

The tables are joined on disk by DuckDB, and every figure is taken from counts and sums, so memory does not grow with rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlpack_edge.batch.evaluation.answers import CLASSES, Answers, answers_of, class_text, same_question
from mlpack_edge.batch.evaluation.database import MEMORY, database
from mlpack_edge.batch.evaluation.figures import (
    ALL,
    ALL_CODE,
    confusion_of,
    figures,
    group_records,
    sizes,
    too_few,
    unknown_classes,
)  # fmt: skip
from mlpack_edge.batch.evaluation.groups import grouping, groups_of
from mlpack_edge.batch.evaluation.joining import Counts, Ranking, join_rows, label_types
from mlpack_edge.batch.evaluation.models import ScoredBy, scored_by
from mlpack_edge.batch.evaluation.paired import differences
from mlpack_edge.batch.evaluation.request import Request, request_from_json
from mlpack_edge.batch.evaluation.tables import Table, labels_table, scores_table
from mlpack_edge.batch.outputs.output import output_of
from mlpack_edge.core.errors import BadInput

Json = dict[str, Any]
Stage = Callable[[str], None]
#: The key of a table written without `--key`.
SOURCE_KEY = ("source_file", "source_row")


def evaluate(payload: Json, stage: Stage) -> Json:
    """payload: a Request as JSON. Gives the report (see docs/how-to/evaluate-with-late-labels.md).

    Raises BadInput where a table, a column, a key or a label cannot be what it should be; nothing is judged then.
    """
    return _evaluated(request_from_json(payload), stage)


def evaluate_published(payload: Json, stage: Stage) -> Json:
    """As `evaluate`, of a table that holds its own labels: payload {"scores", "label", ...} without "labels"."""
    return _evaluated(request_from_json({**payload, "labels": ""}), stage)


@dataclass(frozen=True, slots=True)
class _Asked:
    request: Request
    models: tuple[ScoredBy, ...]
    answers: tuple[Answers, ...]
    ranking: Ranking
    on: tuple[str, ...]


def _evaluated(request: Request, stage: Stage) -> Json:
    if request.min_rows < 2:
        raise BadInput(f"--min-rows is {request.min_rows}; an interval needs 2 rows", "give 2 or more")
    with database(request.memory or MEMORY) as connection:
        stage("looking at the scores")
        noted = output_of(request.scores).last()
        manifest = noted.to_json() if noted else None
        scores = scores_table(connection, request.scores)
        models = scored_by(manifest, request.model, request.challenger, request.scores)
        answers = tuple(answers_of(model.signature, model.prefix, scores.columns) for model in models)
        for other in answers[1:]:
            same_question(answers[0], other)
        on = _key(request, scores, manifest) if request.labels else ()
        stage("looking at the labels")
        labels = None
        if request.labels:
            labels = labels_table(connection, request.labels, label_types(scores, on, request.label, answers[0]))
            labels.column(request.label, "--label")
        asked = _Asked(request, models, answers, _ranking(request, answers), on)
        groupings = [
            grouping(column, option, scores, labels, on)
            for option, column in [("--by", request.by)] * bool(request.by) + [("--segment", one) for one in request.segments]
        ]  # fmt: skip
        stage("joining scores and labels")
        counts = join_rows(connection, scores, labels, on, request.label, groupings, answers, asked.ranking)
        if (
            labels is not None
            and counts.scored
            and counts.labels
            and counts.labels == (counts.unmatched or 0) + (counts.without_key or 0)
        ):
            raise BadInput(
                f"no label in {labels.title} belongs to a scored row",
                f"rows are joined on {', '.join(on)}: check that both sides write it the same way, or name others with --on",
            )  # fmt: skip
        return _report(connection, asked, [group.column for group in groupings], counts, stage)


def _key(request: Request, scores: Table, manifest: Json | None) -> tuple[str, ...]:
    """What rows are joined on. Raises BadInput where the scores do not say."""
    key = (manifest or {}).get("identity", {}).get("options", {}).get("key", "")
    on = request.on or ((key,) if key else SOURCE_KEY)
    for column in on:
        if column not in scores.columns and not request.on:
            raise BadInput(
                f"{scores.title} has no column {column!r} to join labels on", "name the columns with --on",
                why=f"its columns are {', '.join(list(scores.columns)[:20])}",
            )  # fmt: skip
        scores.column(column, "--on")
    if len(set(on)) < len(on):
        raise BadInput(f"--on names a column twice: {', '.join(on)}", "name each once")
    return on


def _ranking(request: Request, answers: Sequence[Answers]) -> Ranking:
    """Which class F1 and AUC are of. Raises BadInput for a class that is none, or a regression with one."""
    champion = answers[0]
    if champion.task != CLASSES:
        if request.positive:
            raise BadInput("--positive is of classifiers; this model answers with numbers", "leave it out")
        return Ranking(None)
    for other in answers[1:]:
        if other.classes != champion.classes:
            raise BadInput(
                "the model and the challenger have different classes: "
                + " and ".join(", ".join(class_text(known) for known in one.classes[:10]) or "none" for one in answers),
                "choose a challenger that answers the same question",
            )
    if request.positive:
        return Ranking(champion.class_index(request.positive))
    return Ranking(1 if len(champion.classes) == 2 else None)


def _report(connection: Any, asked: _Asked, columns: Sequence[str], counts: Counts, stage: Stage) -> Json:
    request, ranking = asked.request, asked.ranking
    champion = asked.answers[0]
    stage("taking figures")
    notes = _notes(connection, asked, counts)
    report: Json = {
        **_heading(asked, counts),
        "notes": notes,
        "metrics": [], "by": [], "segments": [], "challenger": None,
    }  # fmt: skip
    views = [_judged(connection, asked, number, columns, counts) for number in range(len(asked.answers))]
    report |= views[0]
    if counts.labelled < request.min_rows:
        report["reason"] = too_few(counts.labelled, request.min_rows)
    if len(views) > 1:
        report["challenger"] = {"model_sha256": asked.models[1].sha256, **views[1], "differences": [], "mcnemar": None}
        if counts.labelled >= request.min_rows:
            stage("comparing the models")
            report["challenger"] |= differences(connection, (champion, asked.answers[1]), ranking, counts.labelled)
    return report


def _heading(asked: _Asked, counts: Counts) -> Json:
    request, champion = asked.request, asked.answers[0]
    positive = None if asked.ranking.positive is None else class_text(champion.classes[asked.ranking.positive])
    source = None
    if request.labels:
        source = {key: value for key, value in asdict(counts).items() if key not in ("scored", "labelled")}
        source = {"rows" if key == "labels" else key: value for key, value in source.items()}
    return {
        "scores": request.scores, "model_sha256": asked.models[0].sha256, "label": request.label, "on": list(asked.on),
        "task": "classification" if champion.task == CLASSES else "regression",
        "classes": [class_text(known) for known in champion.classes], "positive": positive,
        "rows": counts.scored, "labelled": counts.labelled, "unlabelled": counts.scored - counts.labelled,
        "labels": source, "min_rows": request.min_rows,
    }  # fmt: skip


def _judged(connection: Any, asked: _Asked, number: int, columns: Sequence[str], counts: Counts) -> Json:
    """{"metrics", "by", "segments"} of one model."""
    request, one = asked.request, asked.answers[number]
    enough = {ALL_CODE: counts.labelled} if counts.labelled >= request.min_rows else {}
    overall = figures(connection, one, number, asked.ranking, ALL, enough).get(ALL_CODE, [])
    view: Json = {"metrics": [metric.to_json() for metric in overall], "by": [], "segments": []}
    for index, column in enumerate(columns):
        group = f"g{index}"
        seen = sizes(connection, group)
        enough = {code: labelled for code, (_, labelled) in seen.items() if labelled >= request.min_rows}
        found = figures(connection, one, number, asked.ranking, group, enough)
        records = group_records(found, groups_of(connection, index), seen, column, request.min_rows)
        view["by" if request.by and index == 0 else "segments"] += records
    return view


def _notes(connection: Any, asked: _Asked, counts: Counts) -> list[str]:
    """What a reader should know before the figures. Raises BadInput where no label is a class of the model."""
    notes = []
    one = asked.answers[0]
    if one.task == CLASSES and counts.labelled:
        unknown = unknown_classes(confusion_of(connection, ALL, 0).get(ALL_CODE, {}), one)
        shown = ", ".join(f"{label!r} ({rows:,})" for label, rows in list(unknown.items())[:10])
        more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
        if sum(unknown.values()) == counts.labelled:
            raise BadInput(
                f"no label in {asked.request.label!r} is a class of the model: {shown}{more}",
                "the model's classes are " + ", ".join(class_text(known) for known in one.classes[:20]),
            )
        if unknown:
            notes.append(
                f"{sum(unknown.values()):,} labels are no class of the model and count as wrong: {shown}{more}"
            )
    if counts.without_key:
        notes.append(f"{counts.without_key:,} labels have no key and are left out")
    if counts.unmatched:
        notes.append(f"{counts.unmatched:,} labels belong to no scored row and are left out")
    return notes
