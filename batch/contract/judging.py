"""The table rules of a contract, applied to what a whole run gathered. Plain Python: the coordinating process does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from mlpack_edge.batch.contract.judging_scores import score_reasons
from mlpack_edge.batch.contract.rules import FEW, STILL_KNOWN, ColumnRules, Contract, within_share
from mlpack_edge.batch.contract.times import moment_of
from mlpack_edge.batch.contract.words import duration, listed, percent, share_words
from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.facts import RunFacts
from mlpack_edge.core.verdict import Verdict

Json = dict[str, Any]


def judge(
    contract: Contract, merged: Json, facts: RunFacts, previous: Json | None, now: datetime,
    newest_file_ns: int | None = None,
) -> Verdict:  # fmt: skip
    """merged: of all shards (`merging.merge_statistics`), {} of none. previous: of the last run of the job; only its "rows"
    is asked for, None at the first. now: with a time zone. newest_file_ns: when the newest input file was written, in
    nanoseconds since 1970 (`Fingerprint.mtime_ns`); freshness with `file = true` asks for it.

    A reason names column, rule, what was found and what is allowed. An error budget is not judged here.
    """
    reasons = [
        *_rows(contract, facts.rows_in, previous),
        *_freshness(contract, merged.get("newest"), newest_file_ns, now),
    ]
    rows = merged.get("rows", 0)
    for rules in contract.rules:
        state = merged.get("columns", {}).get(rules.name)
        if state is not None and rows:
            for rule, judge_rule in _COLUMN_RULES.items():
                reasons += [f"column {rules.name!r}, {rule}: {said}" for said in judge_rule(rules, state, rows)]
    for scores in contract.scores:
        state = merged.get("scores", {}).get(scores.name)
        if state is not None and state["rows"]:
            reasons += [f"score {scores.name!r}, {rule}: {said}" for rule, said in score_reasons(scores, state)]
    return Verdict(not reasons, tuple(reasons))


def _rows(contract: Contract, rows: int, previous: Json | None) -> Iterator[str]:
    rule = contract.rows
    if rule.min is not None and rows < rule.min:
        yield f"rows, min: the input has {counted(rows, 'row')}, and is to have {rule.min:,} at least"
    if rule.max is not None and rows > rule.max:
        yield f"rows, max: the input has {counted(rows, 'row')}, and is to have {rule.max:,} at most"
    last = (previous or {}).get("rows")
    if rule.within is not None and last is not None and not within_share(abs(rows - last), rule.within, last):
        change = f", a change of {percent(abs(rows - last) / last)}" if last else ""
        yield f"rows, within: the input has {counted(rows, 'row')}, the last run's had {last:,}{change}; allowed is {percent(rule.within)}"


def _freshness(contract: Contract, newest: int | None, newest_file: int | None, now: datetime) -> Iterator[str]:
    rule = contract.freshness
    if rule is None:
        return
    what = "the newest input file" if rule.file else f"the newest value of {rule.column!r}"
    found = newest_file if rule.file else newest
    if found is None:
        yield f"freshness: there is no {what[4:]}, so nothing says how old the data are"
        return
    moment = moment_of(found, rule.timezone)
    if moment is None:
        yield f"freshness: {what} lies outside the years 1 to 9999"
        return
    age = (now.astimezone(UTC) - moment).total_seconds()
    shown = f"{moment:%Y-%m-%d %H:%M} UTC"
    if age > rule.max_age:
        yield f"freshness, max_age: {what} is of {shown}, {duration(age)} old; allowed are {duration(rule.max_age)}"
    if rule.max_ahead is not None and -age > rule.max_ahead:
        yield f"freshness, max_ahead: {what} is of {shown}, {duration(-age)} ahead; allowed are {duration(rule.max_ahead)}"


def _nulls(rules: ColumnRules, state: Json, rows: int) -> Iterator[str]:
    allowed = rules.max_null_share
    if allowed is not None and not within_share(state["nulls"], allowed, rows):
        yield f"{share_words(state['nulls'], rows, 'rows')} are null; allowed are {percent(allowed)}"


def _zeros(rules: ColumnRules, state: Json, rows: int) -> Iterator[str]:
    allowed, values = rules.max_zero_share, rows - state["nulls"]
    if allowed is not None and not within_share(state["zeros"], allowed, values):
        yield f"{share_words(state['zeros'], values, 'values')} are zero; allowed are {percent(allowed)}"


def _constant(rules: ColumnRules, state: Json, rows: int) -> Iterator[str]:
    values = rows - state["nulls"]
    if not rules.not_constant or rows < FEW:
        return
    if not values:
        yield f"all {rows:,} rows are null"
    elif "low" in state:
        if state["low"] == state["high"] and values >= FEW:
            yield f"every one of {values:,} values is {state['low']}"
    elif len(state["values"]["of"]) == 1 and values >= FEW:
        yield f"every one of {values:,} values is {next(iter(state['values']['of']))!r}"


def anew(rules: ColumnRules, state: Json, rows: int) -> bool:
    """Whether hardly any value is among the known categories, which is no matter of new categories any more."""
    values = rows - state["nulls"]
    return rules.categories is not None and values >= FEW and values - state["unseen"] <= STILL_KNOWN * values


def _encoding(rules: ColumnRules, state: Json, rows: int) -> Iterator[str]:
    if not anew(rules, state, rows):
        return
    values, known = rows - state["nulls"], rules.categories or ()
    few = (
        "every value" if state["unseen"] == values else f"{share_words(state['unseen'], values, 'values')}, nearly all,"
    )
    lie = "is" if state["unseen"] == values else "are"
    yield (
        f"{few} {lie} outside the {len(known):,} known categories ({listed(known)}): was it encoded anew? "
        f"found {_found(state['strange'])}"
    )


def _unseen(rules: ColumnRules, state: Json, rows: int) -> Iterator[str]:
    allowed, values = rules.max_unseen_share, rows - state["nulls"]
    if allowed is None or within_share(state["unseen"], allowed, values) or anew(rules, state, rows):
        return
    said = share_words(state["unseen"], values, "values")
    yield f"{said} are none of the known categories; allowed are {percent(allowed)}; found {_found(state['strange'])}"


def _most(rules: ColumnRules, state: Json, rows: int) -> Iterator[str]:
    allowed = rules.max_categories
    if allowed is None:
        return
    values = state["values"]
    if values["many"] or len(values["of"]) > allowed:
        number = f"more than {values['limit']:,}" if values["many"] else f"{len(values['of']):,}"
        yield f"{number} different values; allowed are {allowed:,}; found {_found(values)}"


def _found(counts: Json) -> str:
    """The values that came most often; of too many, the first in their order."""
    ordered = sorted(counts["of"].items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name!r} ({count:,})" for name, count in ordered[:5])
    return f"{shown}, ..." if counts["many"] or len(ordered) > 5 else shown


#: In the order in which they are said: what explains the most comes first.
_COLUMN_RULES: dict[str, Callable[[ColumnRules, Json, int], Iterator[str]]] = {
    "encoding": _encoding,
    "max_zero_share": _zeros,
    "nulls": _nulls,
    "unseen": _unseen,
    "max_categories": _most,
    "constant": _constant,
}
