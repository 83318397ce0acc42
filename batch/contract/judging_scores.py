"""The rules of scores, applied to what a whole run gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mlpack_edge.batch.contract.merging import number_of
from mlpack_edge.batch.contract.rules import FEW, ScoreRules, at_least_share, within_share
from mlpack_edge.batch.contract.words import percent, share_words

Json = dict[str, Any]


def score_reasons(rules: ScoreRules, state: Json) -> Iterator[tuple[str, str]]:
    """(rule, reason) of what is not as it should be. state: as `merging.merge_statistics` has it, of one row at least."""
    for rule, judge_rule in _RULES.items():
        for said in judge_rule(rules, state):
            yield rule, said


def _extremes(state: Json, key: str) -> list[float]:
    return [number_of(item) for item in state[key] or () if item is not None]


def _nans(rules: ScoreRules, state: Json) -> Iterator[str]:
    if state["nans"]:
        yield f"{share_words(state['nans'], state['numbers'], 'numbers')} are NaN"


def _low(rules: ScoreRules, state: Json) -> Iterator[str]:
    found = min(_extremes(state, "low"), default=None)
    if rules.min is not None and found is not None and found < rules.min:
        yield f"the least is {found:.9g}; allowed is {rules.min} and above"


def _high(rules: ScoreRules, state: Json) -> Iterator[str]:
    found = max(_extremes(state, "high"), default=None)
    if rules.max is not None and found is not None and found > rules.max:
        yield f"the largest is {found:.9g}; allowed is {rules.max} and below"


def _zeros(rules: ScoreRules, state: Json) -> Iterator[str]:
    allowed = rules.max_zero_share
    if allowed is not None and not within_share(state["zeros"], allowed, state["numbers"]):
        yield f"{share_words(state['zeros'], state['numbers'], 'numbers')} are zero; allowed are {percent(allowed)}"


def _constant(rules: ScoreRules, state: Json) -> Iterator[str]:
    if not rules.not_constant or state["rows"] < FEW:
        return
    if state["low"] is not None:
        if state["low"] == state["high"]:
            values = ", ".join(f"{item:.9g}" for item in _extremes(state, "low")[:8])
            yield f"all {state['rows']:,} rows have the score {values}"
    elif len(state["labels"]["of"]) == 1:
        yield f"all {state['rows']:,} rows have the label {next(iter(state['labels']['of']))!r}"


def _shares(rules: ScoreRules, state: Json) -> Iterator[str]:
    labels, rows = state["labels"], state["rows"]
    if rules.shares and labels["many"]:
        yield f"more than {labels['limit']:,} different labels, so that their shares are not counted"
        return
    for label, (least, most) in rules.shares.items():
        count = labels["of"].get(label, 0)
        if not within_share(count, most, rows) or not at_least_share(count, least, rows):
            yield (
                f"{share_words(count, rows, 'rows')} have the label {label!r}; "
                f"allowed are {percent(least)} to {percent(most)}"
            )


_RULES: dict[str, Callable[[ScoreRules, Json], Iterator[str]]] = {
    "finite": _nans, "min": _low, "max": _high, "max_zero_share": _zeros, "constant": _constant, "shares": _shares,
}  # fmt: skip
