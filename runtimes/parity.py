"""Prove that two models are the same on rows: run both, compare every output, count every label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.core.signature import Signature
from mlpack_edge.runtimes.compare import OutputFacts, Tolerance, add, compare_output, find_missing, rows_outside

Array = NDArray[Any]
Feeds = Mapping[str, Array]
Json = dict[str, Any]

#: How often an input is moved by one unit in the last place to see how well the reference itself stands there.
PERTURBATIONS = 8
#: A difference is put down to the row where it is at most this many times what one ulp of the input does.
CONDITION_MARGIN = 8.0


class Runner(Protocol):
    """A model that can be run: named arrays in, named arrays out."""

    @property
    def signature(self) -> Signature: ...

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Raises RowsRefused where the model itself does not take these rows."""
        ...


class RowsRefused(Exception):
    """The source model raises on these rows (an unknown category, a missing value): there is nothing to compare."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows of one kind. must_run: the source has to take them. conditioned: rows at which the reference changes more
    from one ulp of its input than the candidate differs are counted apart, not as differences. optional: that the
    candidate stops on them is reported, and is no difference."""

    name: str
    feeds: dict[str, Array]
    must_run: bool = False
    conditioned: bool = False
    optional: bool = False

    @property
    def rows(self) -> int:
        return len(next(iter(self.feeds.values()))) if self.feeds else 0


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
    reference: Runner, candidate: Runner, groups: Iterable[RowGroup], tolerance: Callable[[str, Array], Tolerance]
) -> ParityReport:
    """Run both models on every group and compare output by output.

    tolerance: the tolerance of an output, given its role and the reference's values.
    Raises BadInput where the reference refuses rows it must take, or all of them, or an output is missing in the
    candidate.
    """
    facts: dict[str, OutputFacts] = {}
    counts: dict[str, int] = {}
    refused: dict[str, str] = {}
    excused = 0
    roles = {spec.name: spec.role for spec in reference.signature.outputs}
    for group in groups:
        try:
            expected = reference.run(group.feeds)
        except RowsRefused as refusal:
            if group.must_run:
                raise BadInput(
                    f"the source model does not take the {group.name} rows",
                    "pass rows it takes with --data", why=str(refusal),
                ) from refusal  # fmt: skip
            refused[group.name] = str(refusal)
            continue
        try:
            made = candidate.run(group.feeds)
        except RowsRefused as refusal:
            raise CheckFailed(
                f"the candidate does not take the {group.name} rows, which the reference takes",
                "compare models that take the same rows, or pass rows that both take with --data", why=str(refusal),
            ) from refusal  # fmt: skip
        except CheckFailed as stop:
            if not group.optional:
                raise
            refused[group.name] = f"the converted model stops on them: {stop.why}"
            continue
        absent = find_missing(expected, made)
        if absent:
            raise BadInput(
                f"the candidate has no output {absent[0]!r}; it has {', '.join(sorted(made))}",
                "compare models with the same outputs",
            )
        limits = {name: tolerance(roles.get(name, ""), array) for name, array in expected.items()}
        keep = np.ones(group.rows, bool)
        if group.conditioned:
            keep = ~_ill_conditioned(reference, group, expected, made, roles, limits)
            excused += int((~keep).sum())
        counts[group.name] = counts.get(group.name, 0) + int(keep.sum())
        for name, array in expected.items():
            fresh = compare_output(
                name, roles.get(name, ""), group.name, _rows(array, keep), _rows(made[name], keep), limits[name]
            )
            facts[name] = add(facts[name], fresh) if name in facts else fresh
    if not any(counts.values()):
        name, why = next(iter(refused.items()), ("made", "no rows"))
        raise BadInput(
            "the source model takes none of the rows", "pass rows it takes with --data", why=f"{name}: {why}"
        )
    return ParityReport(sum(counts.values()), counts, tuple(facts.values()), excused, refused)


def _rows(array: Array, keep: NDArray[np.bool_]) -> Array:
    return array if keep.all() or len(array) != len(keep) else array[keep]


def _ill_conditioned(
    reference: Runner,
    group: RowGroup,
    expected: dict[str, Array],
    made: dict[str, Array],
    roles: Mapping[str, str],
    limits: Mapping[str, Tolerance],
) -> NDArray[np.bool_]:
    """Rows that disagree, at which the reference itself moves about as much when its input moves by one ulp.

    At such a row no implementation is right: the answer hangs on the rounding of the input (backward error analysis,
    Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 1.5).
    """
    outside = {
        name: rows_outside(array, made[name], roles.get(name, ""), limits[name]) for name, array in expected.items()
    }
    suspects = np.flatnonzero(np.any(list(outside.values()), axis=0)) if group.rows and outside else np.zeros(0, int)
    excused = np.zeros(group.rows, bool)
    if suspects.size == 0:
        return excused
    feeds = {name: array[suspects] for name, array in group.feeds.items()}
    moved = []
    for seed in range(PERTURBATIONS):
        try:
            moved.append(reference.run(_moved(feeds, seed)))
        except RowsRefused:
            return excused
    fine = np.ones(len(suspects), bool)
    for name, array in expected.items():
        here, there = array[suspects], made[name][suspects]
        bad = outside[name][suspects]
        if here.shape != there.shape:
            return excused
        if roles.get(name) == "label" or here.dtype.kind in "OSU":
            held = np.any([(run[name] != here).reshape(len(here), -1).any(axis=1) for run in moved], axis=0)
        else:
            spread = np.max([_gap(run[name], here) for run in moved], axis=0)
            held = (_gap(there, here) <= CONDITION_MARGIN * spread).reshape(len(here), -1).all(axis=1)
        fine &= ~bad | held
    excused[suspects[fine]] = True
    return excused


def _gap(a: Array, b: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return np.where(np.isnan(gap), np.where(np.isnan(a) == np.isnan(b), 0.0, np.inf), gap)


def _moved(feeds: Feeds, seed: int) -> dict[str, Array]:
    """Every floating-point number one unit in the last place up or down; other inputs as they are."""
    random = np.random.default_rng(seed)
    moved = {}
    for name, array in feeds.items():
        if array.dtype.kind == "f":
            direction = np.where(random.random(array.shape) < 0.5, -np.inf, np.inf).astype(array.dtype)
            moved[name] = np.nextafter(array, direction)
        else:
            moved[name] = array
    return moved
