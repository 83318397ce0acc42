"""Two runs side by side: what differs, and by how much. Facts here, the judgement in `judge`.

Labels are counted, never averaged: a mean hides that one row in a hundred changed its class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.verdict import Verdict

Array = NDArray[Any]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A number agrees within `atol + rtol * |reference|`. max_flips: the share of rows whose label may differ.

    atol: one number, or one a column of the output `[columns]`.
    """

    rtol: float
    atol: float | NDArray[np.float64]
    max_flips: float = 0.0


@dataclass(frozen=True, slots=True)
class Worst:
    """The element that differs most: its row in the group it came from, and both values as text."""

    group: str
    row: int
    reference: str
    candidate: str


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """One output over `rows` rows.

    max_abs, max_rel: the largest |candidate - reference|, absolute and over |reference|; NaN against a number is
    infinite, NaN against NaN is zero. Where the absolute difference is within `atol`, the relative one says nothing
    (the reference may be 1e-300) and is left out. beyond: rows with an element outside the tolerance of the comparison.
    label_flips: rows whose label differs; None where the output carries no labels. argmax_flips: rows whose
    highest column differs, for outputs with one column a class. errors: the largest |difference| of each row.
    tolerance: the one that `beyond` was counted with.
    """

    name: str
    role: str
    rows: int
    max_abs: float
    max_rel: float
    beyond: int
    label_flips: int | None
    argmax_flips: int | None
    errors: NDArray[np.float32]
    worst: Worst | None
    tolerance: Tolerance

    @property
    def p99_abs(self) -> float:
        """The 99th percentile over rows of the largest difference in a row."""
        return float(np.quantile(self.errors, 0.99)) if self.errors.size else 0.0

    def to_json(self) -> Json:
        record: Json = {
            "name": self.name,
            "max_abs": self.max_abs,
            "max_rel": self.max_rel,
            "p99_abs": self.p99_abs,
            "label_flips": self.label_flips,
            "argmax_flips": self.argmax_flips,
            "beyond_tolerance": self.beyond,
            "rtol": self.tolerance.rtol,
            "atol": float(np.max(self.tolerance.atol)),
        }
        if self.worst:
            record["worst"] = {
                "rows": self.worst.group,
                "row": self.worst.row,
                "reference": self.worst.reference,
                "candidate": self.worst.candidate,
            }
        return record


def differences(reference: Array, candidate: Array) -> tuple[Array, Array]:
    """Elementwise |candidate - reference| and the same over |reference|, float64, of equally shaped numbers."""
    a, b = reference.astype(np.float64), candidate.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        absolute = np.abs(b - a)
        # Compared as they are: whole numbers above 2**53 that differ may be one and the same float64.
        equal = (reference == candidate) | (np.isnan(a) & np.isnan(b))
        apart = np.where(absolute == 0, np.spacing(np.abs(a)), absolute)
        absolute = np.where(equal, 0.0, np.where(np.isnan(apart), np.inf, apart))
        relative = np.where(equal, 0.0, absolute / np.abs(a))
    return absolute, relative


def compare_output(
    name: str,
    role: str,
    group: str,
    reference: Array,
    candidate: Array,
    tolerance: Tolerance,
    numbers: NDArray[np.int64] | None = None,
) -> OutputFacts:
    """Compare one output over the rows of a group; other shapes, and text against numbers, are infinitely far apart.

    An output without a batch dimension, a single number, is one row. numbers: int64 [rows], what each row is called
    in messages (its place by default).
    """
    reference, candidate = np.atleast_1d(reference), np.atleast_1d(candidate)
    rows = len(reference)
    worst: Worst | None = None
    strangers = _strangers(reference, candidate)
    if strangers:
        worst = Worst(group, 0, *strangers)
        labels = rows if role == "label" else None
        errors = np.full(rows, np.inf, np.float32)
        return OutputFacts(name, role, rows, np.inf, np.inf, max(rows, 1), labels, None, errors, worst, tolerance)
    if role == "label" or _is_text(reference):
        return _compare_labels(name, role, group, reference, candidate, tolerance, numbers)
    absolute, relative = differences(reference, candidate)
    outside = _outside(absolute, reference, tolerance)
    with np.errstate(invalid="ignore"):
        relative = np.where(absolute <= tolerance.atol, 0.0, relative)
    flat = absolute.reshape(rows, -1) if rows else absolute.reshape(0, 1)
    per_row = flat.max(axis=1) if rows and flat.shape[1] else np.zeros(rows)
    beyond = outside.reshape(rows, -1).any(axis=1) if rows else np.zeros(0, bool)
    if rows and beyond.any():
        score = np.where(beyond, per_row, -1.0)
        row = int(np.argmax(score))
        worst = Worst(group, _number(numbers, row), _short(reference[row]), _short(candidate[row]))
    flips = None
    if role in ("probabilities", "scores") and reference.ndim == 2 and reference.shape[1] > 1:
        flips = int(np.count_nonzero(_argmax(reference) != _argmax(candidate)))
    return OutputFacts(
        name, role, rows, float(absolute.max(initial=0.0)), float(relative.max(initial=0.0)),
        int(beyond.sum()), None, flips, per_row.astype(np.float32), worst, tolerance,
    )  # fmt: skip


def rows_outside(reference: Array, candidate: Array, role: str, tolerance: Tolerance) -> NDArray[np.bool_]:
    """Which rows disagree: a label that differs, or any element outside the tolerance. bool [rows]."""
    reference, candidate = np.atleast_1d(reference), np.atleast_1d(candidate)
    rows = len(reference)
    if _strangers(reference, candidate):
        return np.ones(rows, bool)
    if role == "label" or _is_text(reference):
        return _different(reference, candidate)
    outside = _outside(differences(reference, candidate)[0], reference, tolerance)
    return np.asarray(outside.reshape(rows, -1).any(axis=1)) if rows else np.zeros(0, bool)


def _outside(absolute: Array, reference: Array, tolerance: Tolerance) -> Array:
    """Which elements differ by more than the tolerance; written so that NaN, and infinity against a number, do."""
    with np.errstate(invalid="ignore"):
        limit = tolerance.atol + tolerance.rtol * np.abs(reference.astype(np.float64))
        return np.asarray(~(absolute <= np.where(np.isfinite(limit), limit, 0.0)))


def _strangers(reference: Array, candidate: Array) -> tuple[str, str] | None:
    """What the two are, where no element of one can be held against one of the other: shapes, text against numbers."""
    if reference.shape != candidate.shape:
        return f"shape {list(reference.shape)}", f"shape {list(candidate.shape)}"
    if _is_text(reference) != _is_text(candidate):
        return _kind(reference), _kind(candidate)
    return None


def _is_text(array: Array) -> bool:
    return array.dtype.kind in "OSU"


def _kind(array: Array) -> str:
    return "text" if _is_text(array) else str(array.dtype)


def _argmax(array: Array) -> Array:
    return np.asarray(np.argmax(np.nan_to_num(array.astype(np.float64), nan=-np.inf), axis=1))


def _different(reference: Array, candidate: Array) -> NDArray[np.bool_]:
    rows = len(reference)
    if reference.dtype.kind == "f" or candidate.dtype.kind == "f":
        unequal: Array = np.asarray(differences(reference, candidate)[0] != 0)
    else:
        unequal = np.asarray(reference != candidate)
    return np.asarray(unequal.reshape(rows, -1).any(axis=1)) if rows else np.zeros(0, bool)


def _number(numbers: NDArray[np.int64] | None, row: int) -> int:
    return row if numbers is None or row >= len(numbers) else int(numbers[row])


def _compare_labels(
    name: str,
    role: str,
    group: str,
    reference: Array,
    candidate: Array,
    tolerance: Tolerance,
    numbers: NDArray[np.int64] | None,
) -> OutputFacts:
    different = _different(reference, candidate)
    flips = int(different.sum())
    worst = None
    if flips:
        row = int(np.argmax(different))
        worst = Worst(group, _number(numbers, row), _short(reference[row]), _short(candidate[row]))
    amount = 1.0 if flips else 0.0
    errors = different.astype(np.float32)
    return OutputFacts(name, role, len(reference), amount, amount, flips, flips, None, errors, worst, tolerance)


def _short(item: Any) -> str:
    """A value for a message: a few significant digits would hide a float32 rounding, so all are shown."""
    array = np.asarray(item)
    if array.ndim == 0:
        return repr(array.item())
    text = ", ".join(repr(value) for value in array.ravel()[:6].tolist())
    return f"[{text}{', ...' if array.size > 6 else ''}]"


def add(a: OutputFacts, b: OutputFacts) -> OutputFacts:
    """The facts of both sets of rows together."""

    def plus(x: int | None, y: int | None) -> int | None:
        return None if x is None and y is None else (x or 0) + (y or 0)

    return replace(
        a,
        rows=a.rows + b.rows,
        max_abs=max(a.max_abs, b.max_abs),
        max_rel=max(a.max_rel, b.max_rel),
        beyond=a.beyond + b.beyond,
        label_flips=plus(a.label_flips, b.label_flips),
        argmax_flips=plus(a.argmax_flips, b.argmax_flips),
        errors=np.concatenate([a.errors, b.errors]),
        worst=b.worst if b.worst and (not a.worst or b.max_abs > a.max_abs) else a.worst,
    )


def judge(outputs: Sequence[OutputFacts]) -> Verdict:
    """Whether the outputs agree; every reason names the output, how much, and the worst row."""
    reasons = []
    for facts in outputs:
        where = f", worst at row {facts.worst.row} of the {facts.worst.group} rows" if facts.worst else ""
        values = f": {facts.worst.reference} became {facts.worst.candidate}" if facts.worst else ""
        if facts.label_flips is not None:
            if not facts.label_flips <= facts.tolerance.max_flips * facts.rows:
                reasons.append(
                    f"output '{facts.name}': {facts.label_flips} of {facts.rows} labels differ{where}{values}"
                )
        elif facts.beyond:
            reasons.append(
                f"output '{facts.name}': {facts.beyond} of {facts.rows} rows differ by more than "
                f"{_atol_text(facts.tolerance)} + {facts.tolerance.rtol:g} x |value|, at most by {facts.max_abs:.3g}{where}{values}"
            )
    return Verdict(not reasons, tuple(reasons))


def _atol_text(tolerance: Tolerance) -> str:
    low, high = float(np.min(tolerance.atol)), float(np.max(tolerance.atol))
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g} (by column)"


def find_missing(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    """Outputs of the reference that the candidate lacks."""
    return [name for name in reference if name not in candidate]
