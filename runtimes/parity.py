"""Prove that two models are the same on rows: run both, compare every output, count every label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.compare import OutputFacts, Tolerance, add, compare_output, find_missing, rows_outside
from mlpack_edge.runtimes.perturbing import categorical_columns, gap, perturbed
from mlpack_edge.runtimes.row_streams.cutting import cut_of

Array = NDArray[Any]
Feeds = Mapping[str, Array]
Json = dict[str, Any]

#: How often an input is moved by one unit in the last place to see how well the reference itself stands there.
PERTURBATIONS = 8
#: How often the reference may refuse parts of one group before the rest of it is left.
MOST_REFUSALS = 64
#: A difference is put down to the row where it is at most this many times what one ulp of the input (or `nudge`) does.
CONDITION_MARGIN = 8.0


class Runner(Protocol):
    """A model that can be run: named arrays in, named arrays out."""

    @property
    def signature(self) -> Signature: ...

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Raises RowsRefused where the model itself does not take these rows."""
        ...


def rows_of(feeds: Feeds, cut: frozenset[str] | None = None) -> int:
    """The rows in feeds: the first size of the first array of `cut`, of all where that is None; a single number (a rate, a mode)
    has none."""
    return next((len(feeds[name]) for name in feeds if _is_cut(feeds, name, cut)), 1 if feeds else 0)


def rows_between(feeds: Feeds, start: int, stop: int | None, cut: frozenset[str] | None = None) -> dict[str, Array]:
    """A part of the rows; what is not of `cut` (a state of [layers, batch, units]) and single numbers go with every part."""
    return {name: array[start:stop] if _is_cut(feeds, name, cut) else array for name, array in feeds.items()}


def _is_cut(feeds: Feeds, name: str, cut: frozenset[str] | None) -> bool:
    return feeds[name].ndim > 0 and (cut is None or name in cut)


class RowsRefused(Exception):
    """The source model raises on these rows (an unknown category, a missing value): there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows of one kind, from row `start` of what they were taken from.

    must_run: the source has to take them. excusable: the share of rows that may be counted apart because the reference
    itself changes as much when its input moves by one unit in the last place; more than that is a difference.
    optional: that the candidate stops on them is reported, and is no difference. block: rows that both models are run on at a
    time (see `in_blocks`), None for all at once; either way they are compared as one group. cut: the inputs that have a part
    for each row (see `cutting.cut_of`), None for all; `check_parity` and `parts_taken` take those of the reference's signature then.
    """

    name: str
    feeds: dict[str, Array]
    must_run: bool = False
    excusable: float = 0.0
    optional: bool = False
    start: int = 0
    block: int | None = None
    cut: frozenset[str] | None = None

    @property
    def rows(self) -> int:
        return rows_of(self.feeds, self.cut)


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Facts. rows: compared; ill_conditioned: left out, see RowGroup; refused: what one of the two does not take, and why."""

    rows: int
    groups: dict[str, int]
    outputs: tuple[OutputFacts, ...]
    ill_conditioned: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> Json:
        return {
            "rows": self.rows,
            "outputs": [facts.to_json() for facts in self.outputs],
            "groups": self.groups,
            "ill_conditioned": self.ill_conditioned,
            "left_out": self.refused,
        }


def check_parity(
    reference: Runner,
    candidate: Runner,
    groups: Iterable[RowGroup],
    tolerance: Callable[[str, Array], Tolerance],
    nudge: float = 0.0,
) -> ParityReport:
    """Run both models on every group and compare output by output.

    tolerance: the tolerance of an output, given its role and the reference's values. nudge: how far inputs are moved to
    see how the reference stands there, as a share of their largest magnitude; 0 for one unit in the last place.
    Raises BadInput where the reference refuses rows it must take, or all of them, or an output is missing in the
    candidate.
    """
    facts: dict[str, OutputFacts] = {}
    counts: dict[str, int] = {}
    refused: dict[str, str] = {}
    excused = 0
    roles = {spec.name: spec.role for spec in reference.signature.outputs}
    for whole in groups:
        for group, expected, made in _answered(reference, candidate, whole, refused):
            limits = {name: tolerance(roles.get(name, ""), array) for name, array in expected.items()}
            keep = ~_ill_conditioned(reference, group, expected, made, roles, limits, nudge)
            excused += int((~keep).sum())
            counts[group.name] = counts.get(group.name, 0) + int(keep.sum())
            for name, array in expected.items():
                fresh = compare_output(
                    name, roles.get(name, ""), group.name, _rows(array, keep), _rows(made[name], keep), limits[name],
                    np.flatnonzero(keep) + group.start,
                )  # fmt: skip
                facts[name] = add(facts[name], fresh) if name in facts else fresh
    if not any(counts.values()):
        name, why = next(iter(refused.items()), ("made", "no rows"))
        raise BadInput(
            "the source model takes none of the rows", "pass rows it takes with --data", why=f"{name}: {why}"
        )
    return ParityReport(sum(counts.values()), counts, tuple(facts.values()), excused, refused)


def parts_taken(
    reference: Runner, group: RowGroup, refused: dict[str, str], budget: list[int] | None = None
) -> Iterator[tuple[RowGroup, dict[str, Array]]]:
    """The parts of a group that the reference takes, with its answers; what it refuses is split until it is single
    rows, so that one bad row does not hide the others. `refused` gets the reason of the last one."""
    budget = [MOST_REFUSALS] if budget is None else budget
    group = replace(group, cut=cut_of(reference.signature)) if group.cut is None else group
    try:
        answers = in_blocks(reference, group.feeds, group.block) if group.block is not None else None
        if answers is None:
            group = replace(group, block=None)
            answers = reference.run(group.feeds)
        yield group, answers
        return
    except RowsRefused as refusal:
        if group.must_run:
            raise BadInput(
                f"the source model does not take the {group.name} rows",
                "pass rows it takes with --data", why=str(refusal),
            ) from refusal  # fmt: skip
        refused[group.name] = str(refusal)
    budget[0] -= 1
    if group.rows < 2 or budget[0] <= 0:
        return
    half = group.rows // 2
    for start, stop in ((0, half), (half, None)):
        feeds = rows_between(group.feeds, start, stop, group.cut)
        yield from parts_taken(reference, replace(group, feeds=feeds, start=group.start + start), refused, budget)


def _answered(
    reference: Runner, candidate: Runner, whole: RowGroup, refused: dict[str, str]
) -> Iterator[tuple[RowGroup, dict[str, Array], dict[str, Array]]]:
    """The parts of a group that both take, with the answers of both: both in blocks or neither, for a model may mix the rows that
    it is given together."""
    for group, expected in parts_taken(reference, whole, refused):
        made = in_blocks(candidate, group.feeds, group.block) if group.block is not None else None
        if group.block is not None and made is None:
            yield from _answered(reference, candidate, replace(group, block=None), refused)
            continue
        made = _answers(candidate, group, refused) if made is None else made
        if made is None:
            continue
        absent = find_missing(expected, made)
        if absent:
            raise BadInput(
                f"the candidate has no output {absent[0]!r}; it has {', '.join(sorted(made))}",
                "compare models with the same outputs",
            )
        yield group, expected, made


def _answers(candidate: Runner, group: RowGroup, refused: dict[str, str]) -> dict[str, Array] | None:
    """The candidate's answers, None where it stops on optional rows."""
    try:
        return candidate.run(group.feeds)
    except (RowsRefused, CheckFailed) as stop:
        why = stop.why if isinstance(stop, CheckFailed) else str(stop)
        if group.optional:
            refused[group.name] = f"the converted model stops on them: {why}"
            return None
        if isinstance(stop, CheckFailed):
            raise
        raise CheckFailed(
            f"the candidate does not take the {group.name} rows, which the reference takes",
            "compare models that take the same rows, or pass rows that both take with --data", why=why,
        ) from stop  # fmt: skip


def in_blocks(runner: Runner, feeds: Feeds, block: int) -> dict[str, Array] | None:
    """The answers on all rows, of about `block` rows at a time; what a net holds inside is that of a block then, and may be
    thousands of times what it is fed.

    None where there are no more rows than that, and where answers are not known to be those of all rows together: where an
    output has no part for each row, or a block is refused (a net of pairs). What has no part for each row goes whole with each
    block. The last block has another size than the
    others, so that an output which has the size of a block by chance, or always one row, is told apart.
    """
    cut = cut_of(runner.signature)
    rows = rows_of(feeds, cut)
    if rows <= block:
        return None
    size = next((one for one in chain(range(block, 1, -1), range(block + 1, rows)) if rows % one), None)
    if size is None:
        return None
    parts: list[dict[str, Array]] = []
    for start in range(0, rows, size):
        stop = min(start + size, rows)
        try:
            made = runner.run(rows_between(feeds, start, stop, cut))
        except (RowsRefused, CheckFailed):
            return None  # the whole says why
        if any(not array.ndim or len(array) != stop - start for array in made.values()):
            return None
        parts.append(made)
    if len({(name, array.shape[1:]) for part in parts for name, array in part.items()}) != len(parts[0]):
        return None
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _rows(array: Array, keep: NDArray[np.bool_]) -> Array:
    return array if keep.all() or len(array) != len(keep) else array[keep]


def _ill_conditioned(
    reference: Runner,
    group: RowGroup,
    expected: dict[str, Array],
    made: dict[str, Array],
    roles: Mapping[str, str],
    limits: Mapping[str, Tolerance],
    nudge: float,
) -> NDArray[np.bool_]:
    """Rows that disagree, at which the reference itself moves about as much when its input moves by one ulp (by `nudge`).

    At such a row no implementation is right: the answer hangs on the rounding of the input (backward error analysis,
    Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 1.5).
    """
    outside = {
        name: rows_outside(array, made[name], roles.get(name, ""), limits[name]) for name, array in expected.items()
    }
    excused = np.zeros(group.rows, bool)
    if not group.excusable or not group.rows or any(len(array) != group.rows for array in outside.values()):
        return excused
    suspects = np.flatnonzero(np.any(list(outside.values()), axis=0))
    if suspects.size == 0:
        return excused
    feeds = {
        name: array[suspects] if _is_cut(group.feeds, name, group.cut) else array for name, array in group.feeds.items()
    }
    moved = []
    for seed in range(PERTURBATIONS):
        try:
            moved.append(reference.run(perturbed(feeds, categorical_columns(reference.signature), seed, nudge)))
        except RowsRefused:
            return excused
    fine = np.ones(len(suspects), bool)
    for name, array in expected.items():
        here, there = array[suspects], made[name][suspects]
        bad = outside[name][suspects]
        if here.shape != there.shape:
            return excused
        if roles.get(name) == "label" or here.dtype.kind in "OSU":
            # The reference must have given this very label for a row that is the same but for the last place.
            held = np.any([(run[name] == there).reshape(len(here), -1).all(axis=1) for run in moved], axis=0)
        else:
            spread = np.max([gap(run[name], here) for run in moved], axis=0)
            held = gap(there, here) <= CONDITION_MARGIN * spread
            if nudge and here.dtype.kind == "f":  # a step beside a number that no nudge moves is none the less allowed
                held |= gap(there, here) <= limits[name].atol
            held = held.reshape(len(here), -1).all(axis=1)
        fine &= ~bad | held
    excused[suspects[fine]] = True
    # Where many rows hang on their last place, it is the candidate that is wrong (`>=` for `>` at a round number).
    return excused if excused.sum() <= max(1.0, group.excusable * group.rows) else np.zeros(group.rows, bool)
