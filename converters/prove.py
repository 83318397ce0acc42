"""Prove that a converted model is still the same, and where it stops being so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from mlpack_edge.converters.blocks import block_of
from mlpack_edge.converters.quantized_parity import EXCUSABLE, NUDGE, allowed_apart, judge_typical
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature
from mlpack_edge.core.verdict import Verdict
from mlpack_edge.runtimes.compare import Tolerance, differences, judge
from mlpack_edge.runtimes.data import Table, feeds_from_table
from mlpack_edge.runtimes.onnxruntime import FAULTS, open_session, run
from mlpack_edge.runtimes.parity import ParityReport, RowGroup, RowsRefused, Runner, check_parity, rows_between
from mlpack_edge.runtimes.row_streams.cutting import cut_of, fixed_batch
from mlpack_edge.runtimes.rows import FARTHEST, Hints, make_groups

Array = NDArray[Any]
Json = dict[str, Any]

#: How far out a number is put in a row for TFLite, in multiples of its scale: beside a number a million times as large
#: float32 has lost the others, and a distance or a sum tells nothing of them.
_FAR = 1e3
#: Batches of a lowered model beside those of its rows.
_BATCHES = (2, 7)
#: Rows of DATA that are compared in one piece.
PIECE = 10_000


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the user allows; None is the default of the model family.

    family: "tabular" (computed in float64 as the source does, so only the last rounding may differ), "net" (float32 sums
    in another order), "lowered" (anything on TFLite: float32 throughout, other sums, XNNPACK's own exponentials), or
    "quantized" (a net of codes on TFLite: steps of its scales, see `quantized_parity`).
    """

    family: str
    rtol: float | None = None
    atol: float | None = None
    max_flips: float = 0.0

    @property
    def is_quantized(self) -> bool:
        return self.family == "quantized"

    def tolerance(self, role: str, reference: Array) -> Tolerance:
        """The tolerance of an output. Whole numbers (ids, counts, masks) have none, unless the user gives one; atol is
        in units of the median magnitude of each column, for probabilities of 1."""
        if self.is_quantized:
            apart = allowed_apart(role, reference) if self.atol is None else self.atol
            return Tolerance(self.rtol or 0.0, apart, self.max_flips)
        rtol, share = _BY_FAMILY[self.family]
        if reference.dtype.kind in "iub":
            rtol = share = 0.0
        elif reference.dtype == np.float16:
            rtol, share = 1e-2, 1e-3
        return Tolerance(
            rtol if self.rtol is None else self.rtol,
            share * _scale(role, reference) if self.atol is None else self.atol,
            self.max_flips,
        )


#: family: (rtol, atol as a share of the output's magnitude)
_BY_FAMILY = {"tabular": (1e-6, 1e-7), "net": (1e-4, 1e-5), "lowered": (1e-3, 1e-4)}


#: Roles of numbers between 0 and 1: their unit is 1, however small they are on the rows at hand.
_OF_ONE = frozenset({"probabilities", "proportions"})


#: Rows that do not tell a small column from a number that happens to be near zero.
_FEW = 8


def _scale(role: str, reference: Array) -> float | NDArray[np.float64]:
    """The median magnitude of an output, of each column where it is a table: a small column beside big ones counts.

    The columns of a net's output are sums of the same kind: one near zero has the roundings of the others, and its
    unit is not below a hundredth of theirs. In a few rows every number near zero looks like such a column (a net that
    is fixed to one row has no other): a tenth there.
    """
    if role in _OF_ONE or reference.dtype.kind not in "fiu" or reference.size == 0:
        return 1.0
    magnitude = np.abs(reference.astype(np.float64))
    if magnitude.ndim == 2:
        least = 0.0 if role else _median(magnitude) / (10 if len(magnitude) < _FEW else 100)
        return np.array([max(_median(column), least) for column in magnitude.T])
    return _median(magnitude)


def _median(magnitude: Array) -> float:
    """Of what is neither zero nor infinite; 1 where nothing is."""
    counted = magnitude[np.isfinite(magnitude) & (magnitude > 0)]
    return float(np.median(counted)) if counted.size else 1.0


#: Of the rows that were asked for: one in a batch of 32 is what a net with an open batch may have put down to the row.
MOST_EXCUSED = 1 / 32


@dataclass(frozen=True, slots=True)
class Proof:
    """The report, the judgement, and where two pipelines first differ (None where they agree or have no steps)."""

    report: ParityReport
    verdict: Verdict
    first_divergence: Json | None

    def to_json(self) -> Json:
        return {
            **self.report.to_json(),
            "passed": self.verdict.passed,
            "reasons": list(self.verdict.reasons),
            "first_divergence": self.first_divergence,
        }


def prove(
    reference: Runner,
    candidate: Runner,
    hints: Hints,
    data: Table | None,
    rows: int,
    allowed: Allowed,
    find_divergence: Callable[[dict[str, Array]], Json | None],
    lowered: bool = False,
) -> Proof:
    """Compare on DATA and on at least `rows` rows made from the signature.

    find_divergence: given feeds that disagree, the first step at which the two runs do, with the row in these feeds. lowered: one of the two is a
    TFLite file; it is run at batches of 2 and 7 as well, and no empty batch is asked of it.
    """

    def groups() -> Iterator[RowGroup]:
        for group in rows_to_compare(reference.signature, hints, data, rows, allowed, lowered):
            group = replace(group, cut=cut_of(reference.signature))
            yield replace(group, block=block(group)) if group.name == "data" else group

    def block(group: RowGroup) -> int | None:
        """None, for all rows, of tables in the framework's own numbers, which hold next to nothing inside."""
        return None if allowed.family == "tabular" else block_of(reference.signature, group.feeds)

    report = check_parity(
        reference, candidate, groups(), allowed.tolerance, nudge=NUDGE if allowed.is_quantized else 0.0
    )
    if data is None and report.rows + min(report.ill_conditioned, rows * MOST_EXCUSED) < rows:
        left = "; ".join(f"{name}: {why}" for name, why in report.refused.items())
        raise BadInput(
            f"only {report.rows} made rows could be compared, {rows} were asked for",
            "pass rows that the model takes with --data, name sizes it takes with --shape, or ask for fewer with --rows",
            why=left or f"{report.ill_conditioned} rows have no stable answer in the source itself",
        )
    verdict = judge(report.outputs)
    if allowed.is_quantized and allowed.atol is None:
        verdict = judge_typical(report.outputs, verdict)
    divergence, fixed = None, fixed_batch(spec.shape for spec in reference.signature.inputs)
    if not verdict.passed:
        worst = next((facts.worst for facts in report.outputs if facts.worst and not judge([facts]).passed), None)
        for group in groups() if worst else ():
            if worst and group.name == worst.group and group.start <= worst.row < group.start + max(group.rows, 1):
                divergence = _divergence(group, worst.row - group.start, block(group) or fixed, find_divergence)
                break
    return Proof(report, verdict, divergence)


def _divergence(
    group: RowGroup, row: int, block: int | None, find_divergence: Callable[[dict[str, Array]], Json | None]
) -> Json | None:
    """What `find_divergence` says of the block of rows that holds `row`, of all where block is None: it computes the outputs of
    every step, which are as large as whatever a net holds inside. Its row is numbered as those of the report are."""
    first = 0 if block is None else row // block * block
    found = find_divergence(
        group.feeds if block is None else rows_between(group.feeds, first, first + block, group.cut)
    )
    if found is not None and found["row"] is not None:
        found = {**found, "row": group.start + first + found["row"]}
    return found


def rows_to_compare(
    signature: Signature, hints: Hints, data: Table | None, rows: int, allowed: Allowed, lowered: bool
) -> Iterator[RowGroup]:
    """The rows of DATA, and at least `rows` made ones; the same every time. Parameters as of `prove`."""
    made = _groups(signature, hints, data, rows, _FAR if lowered else FARTHEST)
    for group in _for_lowered(made) if lowered else made:
        least = EXCUSABLE if allowed.is_quantized else 0.0
        yield replace(group, excusable=max(group.excusable, least))


def _groups(signature: Signature, hints: Hints, data: Table | None, rows: int, far: float) -> Iterator[RowGroup]:
    if data is not None:
        feeds = feeds_from_table(data, signature)
        for start in range(0, data.rows, PIECE):
            piece = {name: array[start : start + PIECE] for name, array in feeds.items()}
            yield RowGroup("data", piece, must_run=True, start=start)
    yield from make_groups(signature, hints, rows, far=far)


def _for_lowered(groups: Iterable[RowGroup]) -> Iterator[RowGroup]:
    """TFLite plans memory for one batch at a time: several sizes are run; there is no planning for none."""
    for group in groups:
        if not group.rows:
            continue
        yield group
        if group.name == "ordinary" and group.start == 0 and group.rows > max(_BATCHES):
            for batch in _BATCHES:
                feeds = {name: array[:batch] for name, array in group.feeds.items()}
                yield replace(group, name=f"batch {batch}", feeds=feeds, excusable=1.0)


def divergence_of_steps(
    model: onnx.ModelProto,
    taps: Mapping[str, str],
    step_outputs: Callable[[Mapping[str, Array]], dict[str, Array]],
    feeds: Mapping[str, Array],
) -> Json | None:
    """The first step, in the graph's order, whose output differs by more than a float32 rounding.

    taps: tensor name by step path. Returns {"step", "max_abs", "row", "reference", "candidate"} or None.
    """
    try:
        expected = step_outputs(feeds)
    except (RowsRefused, ValueError, TypeError, AttributeError, IndexError):  # a step that does not take these rows
        return None
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    paths = [path for path in taps if path in expected]
    if not paths:
        return None
    for path in paths:
        tapped.graph.output.append(helper.make_empty_tensor_value_info(taps[path]))
    try:
        made = run(open_session(tapped.SerializeToString()), feeds)
    except FAULTS:  # the names of the steps' tensors are not those of this graph
        return None
    for path in paths:
        reference, candidate = _table(expected[path]), _table(made[taps[path]])
        if reference.shape != candidate.shape:
            shapes = {"reference": str(list(reference.shape)), "candidate": str(list(candidate.shape))}
            return {"step": path, "max_abs": None, "row": None, **shapes}
        if "O" in (reference.dtype.kind, candidate.dtype.kind):
            continue
        absolute, _ = differences(reference, candidate)
        with np.errstate(invalid="ignore"):
            beyond = ~(absolute <= 1e-6 * np.abs(reference.astype(np.float64)) + 1e-9)
        if beyond.any():
            row = int(np.argmax(np.where(beyond, absolute, -1.0).max(axis=1)))
            column = int(np.argmax(absolute[row]))
            return {
                "step": path,
                "max_abs": float(absolute[row, column]),
                "row": row,
                "column": column,
                "reference": repr(reference[row, column].item()),
                "candidate": repr(candidate[row, column].item()),
            }
    return None


def _table(array: Array) -> Array:
    """`[rows, columns]`, whatever a step gives."""
    return array.reshape(len(array), -1) if len(array) else array.reshape(0, 1)
