"""One model file on two machines: what it gave there held against what it gave here, bit by bit and as models are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import CheckFailed
from mlpack_edge.core.signature import Signature, TensorSpec
from mlpack_edge.runtimes.bits import BitFacts, compare_bits
from mlpack_edge.runtimes.compare import Tolerance
from mlpack_edge.runtimes.parity import Feeds, ParityReport, RowGroup, Runner, check_parity
from mlpack_edge.runtimes.row_streams.cutting import cut_of

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """tensors: the file's own output tensors. answers: the same in the terms of its signature. Both by output name."""

    tensors: Arrays
    answers: Arrays


@dataclass(frozen=True, slots=True)
class Recorded:
    """A group of rows and what came of it on the two machines."""

    group: RowGroup
    here: Answers
    there: Answers


@dataclass(frozen=True, slots=True)
class MachineReport:
    """Facts. rows: that were run. parity: the comparison as of two models, where an output of probabilities or scores
    has the column that is highest beside it as an output of labels, if the model gives no label; `argmax_of` names
    that one by the output.
    """

    rows: int
    bits: dict[str, BitFacts]
    parity: ParityReport
    argmax_of: dict[str, str]

    @property
    def is_bit_identical(self) -> bool:
        return not any(facts.different for facts in self.bits.values())

    def to_json(self) -> Json:
        """Keys rows, bit_identical, values, different, ill_conditioned, outputs: [{name, values, different, max_ulp,
        max_steps, one_sided_nan, max_abs, max_rel, label_flips, ...}]."""
        total = sum(self.bits.values(), BitFacts(0, 0))
        flips = {facts.name: facts.label_flips for facts in self.parity.outputs}
        outputs = []
        for facts in self.parity.outputs:
            if facts.name in self.argmax_of.values():
                continue
            record = facts.to_json()
            if facts.name in self.argmax_of:
                record["label_flips"] = flips[self.argmax_of[facts.name]]
            outputs.append({**record, **self.bits[facts.name].to_json()})
        return {
            "rows": self.rows,
            "bit_identical": self.is_bit_identical,
            "values": total.values,
            "different": total.different,
            "ill_conditioned": self.parity.ill_conditioned,
            "outputs": outputs,
        }


def compare_machines(
    live: Runner, recorded: Iterable[Recorded], tolerance: Callable[[str, Array], Tolerance], nudge: float = 0.0
) -> MachineReport:
    """live: the file on this machine, for rows beside those that disagree; see `parity.check_parity`, also for the rest.

    recorded: its tensors have the same names, shapes and dtypes on both sides (`refuse_other_tensors`).
    """
    argmax_of = _argmax_names(live.signature)
    outputs = tuple(TensorSpec(name, "int64", ("batch",), "label") for name in argmax_of.values())
    signature = replace(live.signature, outputs=live.signature.outputs + outputs)
    labels = {spec.name for spec in signature.outputs if spec.role == "label"}
    here, there = _Replay(signature, live, argmax_of), _Replay(signature, live, argmax_of)
    bits: dict[str, BitFacts] = {}
    rows = 0

    def groups() -> Iterator[RowGroup]:
        nonlocal rows
        for item in recorded:
            group = replace(item.group, cut=cut_of(signature))
            rows += group.rows
            for name, array in item.here.tensors.items():
                found = compare_bits(array, item.there.tensors[name], name in labels)
                bits[name] = bits[name] + found if name in bits else found
            here.record(item.group.feeds, item.here.answers)
            there.record(item.group.feeds, item.there.answers)
            yield group

    parity = check_parity(here, there, groups(), tolerance, nudge)
    return MachineReport(rows, bits, parity, argmax_of)


class _Replay:
    """Gives what was recorded for the rows at hand, and asks `live` about any other."""

    def __init__(self, signature: Signature, live: Runner, argmax_of: Mapping[str, str]) -> None:
        self.signature, self._live, self._argmax_of = signature, live, argmax_of
        self._feeds: Feeds = {}
        self._answers: Arrays = {}

    def record(self, feeds: Feeds, answers: Arrays) -> None:
        self._feeds, self._answers = feeds, answers

    def run(self, feeds: Feeds) -> dict[str, Array]:
        made = dict(self._answers if feeds is self._feeds else self._live.run(feeds))
        return made | {label: _highest(made[name]) for name, label in self._argmax_of.items()}


def _argmax_names(signature: Signature) -> dict[str, str]:
    """Outputs whose highest column is what callers take for the label, for want of one -> what to call that."""
    if any(spec.role == "label" for spec in signature.outputs):
        return {}
    return {
        spec.name: f"highest column of {spec.name}"
        for spec in signature.outputs
        if spec.role in ("probabilities", "scores") and len(spec.shape) == 2 and spec.shape[1] != 1
    }


def _highest(array: Array) -> NDArray[np.int64]:
    """[rows], the place of the largest number of each row of `[rows, columns]`; NaN is the smallest."""
    numbers = np.where(np.isnan(array), -np.inf, array.astype(np.float64))
    return np.argmax(numbers, axis=1).astype(np.int64) if array.size else np.zeros(len(array), np.int64)


def refuse_other_tensors(here: Sequence[Arrays], there: Sequence[Arrays], rows: str) -> None:
    """Raise CheckFailed where what the other machine gave has another name, shape or dtype.

    here, there: outputs set by set. rows: what the rows are called.
    """
    for own, others in zip(here, there, strict=True):
        for name in dict.fromkeys([*own, *others]):
            array, other = own.get(name), others.get(name)
            if array is None or other is None or array.shape != other.shape or array.dtype != other.dtype:
                raise CheckFailed(
                    f"output {name!r} is another tensor there",
                    "the runtimes of the two machines differ in what they make of the file: try the same version on both",
                    why=f"{_described(array)} here, {_described(other)} there, on the {rows} rows",
                )


def _described(array: Array | None) -> str:
    if array is None:
        return "nothing"
    return f"{'text' if array.dtype.kind == 'O' else array.dtype} {list(array.shape)}"
