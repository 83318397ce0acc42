"""How far a challenger's answers are from the champion's, gathered while both score: no labels are needed.

All state is whole numbers, maxima and one exact sum, so neither batches nor the number of shards move a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

from mlpack_edge.batch.counted import counted
from mlpack_edge.batch.models import CHALLENGER
from mlpack_edge.batch.scoring.findings import Findings

Json = dict[str, Any]

#: Different (champion, challenger) pairs of labels beyond which flips are counted without naming them.
MOST_FLIPS = 1000
#: Sums are kept as a whole number of the smallest step of a float64.
_STEP = 1074
_HALF = 1 << 26
#: Numbers taken at once: what is made of them stays in the cache.
_PIECE = 1 << 13


class Agreement:
    """A `Collector` over outputs that both models give: the name `n` and `challenger_n`.

    Labels (texts, whole numbers, booleans) are counted as equal or by pair; floating-point numbers by largest and mean
    absolute difference over all numbers of a row, in float64. Rejected rows are left out.
    """

    name = "agreement"

    def __init__(self) -> None:
        self._rows = 0
        self._outputs: dict[str, Json] = {}

    def update(self, batch: Any, outputs: Mapping[str, Any], findings: Findings) -> None:
        """outputs: `pyarrow.Array` by column name, in the rows that were accepted."""
        accepted = findings.accepted
        count = int(np.count_nonzero(accepted))
        keep = None if count == len(accepted) else pyarrow.array(accepted)
        self._rows += count
        for column, other in outputs.items():
            name = column.removeprefix(CHALLENGER)
            if column.startswith(CHALLENGER) and name in outputs:
                pair = (outputs[name], other) if keep is None else (outputs[name].filter(keep), other.filter(keep))
                found = _compared(*pair)
                self._outputs[name] = _merged(self._outputs[name], found) if name in self._outputs else found

    def state(self) -> Json:
        return {"rows": self._rows, "outputs": self._outputs}


def merge_agreement(a: Json, b: Json) -> Json:
    """Both states as one; associative, and in any order."""
    outputs = dict(a["outputs"])
    for name, found in b["outputs"].items():
        outputs[name] = _merged(outputs[name], found) if name in outputs else found
    return {"rows": a["rows"] + b["rows"], "outputs": outputs}


def agreement_report(merged: Json) -> Json:
    """{"rows", "outputs": [{"name", "kind", "rows", "equal", "share", ...}]}.

    kind "labels": `flips` are the rows of each pair, most frequent first, or None beyond MOST_FLIPS pairs. kind "numbers":
    `max_abs` and `mean_abs`, the latter rounded once from an exact sum. kind "different": the outputs have other types or
    widths, and `why` says which.
    """
    return {"rows": merged["rows"], "outputs": [_reported(name, found) for name, found in merged["outputs"].items()]}


def agreement_lines(report: Json) -> list[str]:
    """The report for people."""
    lines = []
    for one in report["outputs"]:
        if one["kind"] == "different":
            lines.append(f"{one['name']}: not compared, {one['why']}")
            continue
        line = f"{one['name']}: equal in {one['equal']:,} of {one['rows']:,} rows"
        if one["rows"]:
            line += f" ({100 * one['share']:.4g} %)"
        if one["kind"] == "numbers":
            line += f", largest difference {one['max_abs']:.3g}, mean {one['mean_abs']:.3g}" if one["rows"] else ""
            lines.append(line)
            continue
        lines.append(line)
        lines += [
            f"  {flip['champion']} became {flip['challenger']}: {counted(flip['rows'], 'row')}"
            for flip in (one["flips"] or [])[:5]
        ]
    return lines


def _compared(first: Any, second: Any) -> Json:
    """The state of one output over accepted rows."""
    types = [_plain_type(array.type) for array in (first, second)]
    if types[0] != types[1]:
        return {"kind": "different", "why": f"it is {types[0]}, the challenger's {types[1]}"}
    return (_numbers if types[0].startswith("number") else _labels)(first, second)


def _plain_type(kind: Any) -> str:
    """What is compared with what: "text", "whole number", "number", or a list of numbers of some width."""
    if pyarrow.types.is_dictionary(kind):
        kind = kind.value_type
    if pyarrow.types.is_fixed_size_list(kind):
        inner = _plain_type(kind.value_type)
        return f"{inner} x {kind.list_size}"
    if pyarrow.types.is_floating(kind):
        return "number"
    if pyarrow.types.is_integer(kind) or pyarrow.types.is_boolean(kind):
        return "whole number"
    return "text" if _is_text(kind) else str(kind)


def _is_text(kind: Any) -> bool:
    return bool(
        pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_string_view(kind)
    )


def _labels(first: Any, second: Any) -> Json:
    if pyarrow.types.is_fixed_size_list(first.type):
        return _whole_vectors(first, second)
    text = _is_text(first.type) or pyarrow.types.is_dictionary(first.type)
    first, second = (array.cast(pyarrow.string() if text else pyarrow.int64()) for array in (first, second))
    other = pyarrow.compute.not_equal(first, second)
    changed = pyarrow.table({"a": first.filter(other), "b": second.filter(other)})
    pairs = changed.group_by(["a", "b"]).aggregate([([], "count_all")]).to_pydict()
    flips = dict(sorted(zip(map(_pair, pairs["a"], pairs["b"]), pairs["count_all"], strict=True)))
    return {
        "kind": "labels", "rows": len(first), "equal": len(first) - changed.num_rows,
        "flips": flips if len(flips) <= MOST_FLIPS else None,
    }  # fmt: skip


def _whole_vectors(first: Any, second: Any) -> Json:
    """Several labels a row: equal or not."""
    width = first.type.list_size
    sides = [array.flatten().to_numpy(zero_copy_only=False).reshape(-1, width) for array in (first, second)]
    equal = int(np.count_nonzero((sides[0] == sides[1]).all(axis=1)))
    return {"kind": "labels", "rows": len(first), "equal": equal, "flips": None}


def _numbers(first: Any, second: Any) -> Json:
    width = first.type.list_size if pyarrow.types.is_fixed_size_list(first.type) else 1
    a, b = (_plain_numbers(array) for array in (first, second))
    largest, equal, total = 0.0, 0, _Sum()
    step = max(1, _PIECE // width) * width
    for start in range(0, len(a), step):
        apart = np.abs(a[start : start + step].astype(np.float64) - b[start : start + step])
        largest = max(largest, float(apart.max()))
        moved = apart[0::width] != 0
        for column in range(1, width):  # numpy's own reduction over a short axis is many times slower
            moved |= apart[column::width] != 0
        equal += len(moved) - int(np.count_nonzero(moved))
        total.add(apart)
    return {
        "kind": "numbers", "rows": len(first), "equal": equal, "width": width, "max_abs": largest,
        "sum_abs": hex(total.steps()),
    }  # fmt: skip


def _plain_numbers(array: Any) -> NDArray[Any]:
    flat = array.flatten() if pyarrow.types.is_fixed_size_list(array.type) else array
    return np.asarray(flat.to_numpy(zero_copy_only=False))


class _Sum:
    """Of finite numbers that are not negative, without any rounding, whatever their order.

    Mantissas are added by exponent, in two halves of at most 27 bits: float64 holds sums of 2^26 of them exactly.
    """

    def __init__(self) -> None:
        self._halves = np.zeros((2, 2048 + 2), np.float64)
        self._held = 0
        self._steps = 0

    def add(self, values: NDArray[np.float64]) -> None:
        """values: `[n]`, at most 2^26 of them."""
        if self._held + len(values) > _HALF:
            self._settle()
        self._held += len(values)
        bits = np.ascontiguousarray(values).view(np.int64)
        place = bits >> 52  # the biased exponent: 0 of subnormal numbers, which have the step of 1 and no hidden bit
        whole = (bits & ((1 << 52) - 1)) | ((place > 0).astype(np.int64) << 52)
        for row, half in enumerate((whole & (_HALF - 1), whole >> 26)):
            sums = np.bincount(place, weights=half)
            self._halves[row, : len(sums)] += sums

    def steps(self) -> int:
        """The sum in steps of 2^-1074."""
        self._settle()
        return self._steps

    def _settle(self) -> None:
        for row in range(2):
            for place in np.flatnonzero(self._halves[row]):
                shift = max(int(place) - 1, 0) + 26 * row
                self._steps += int(self._halves[row, place]) << shift
        self._halves[:] = 0
        self._held = 0


def exact_sum(values: NDArray[np.float64]) -> int:
    """The sum of finite numbers `[n]` that are not negative, in steps of 2^-1074, without any rounding."""
    total = _Sum()
    for start in range(0, len(values), _PIECE):
        total.add(values[start : start + _PIECE])
    return total.steps()


def _merged(a: Json, b: Json) -> Json:
    if a["kind"] != b["kind"] or a["kind"] == "different":
        return a if a["kind"] == "different" else b
    both = {**a, "rows": a["rows"] + b["rows"], "equal": a["equal"] + b["equal"]}
    if a["kind"] == "numbers":
        both["max_abs"] = max(a["max_abs"], b["max_abs"])
        both["sum_abs"] = hex(int(a["sum_abs"], 16) + int(b["sum_abs"], 16))
        return both
    if a["flips"] is None or b["flips"] is None:
        return both | {"flips": None}
    flips = dict(a["flips"])
    for pair, rows in b["flips"].items():
        flips[pair] = flips.get(pair, 0) + rows
    # Too many is too many in whatever order shards come: more than the limit never becomes fewer.
    return both | {"flips": dict(sorted(flips.items())) if len(flips) <= MOST_FLIPS else None}


def _pair(a: Any, b: Any) -> str:
    """Two labels as a key of JSON; the length says where the first one ends."""
    return f"{len(str(a))}:{a}{b}"


def _labels_of(pair: str) -> tuple[str, str]:
    length, _, joined = pair.partition(":")
    return joined[: int(length)], joined[int(length) :]


def _reported(name: str, found: Json) -> Json:
    if found["kind"] == "different":
        return {"name": name, **found}
    rows = found["rows"]
    record = {"name": name, "kind": found["kind"], "rows": rows, "equal": found["equal"], "share": found["equal"] / rows if rows else None}  # fmt: skip
    if found["kind"] == "numbers":
        numbers = rows * found["width"]
        mean = float(Fraction(int(found["sum_abs"], 16), numbers << _STEP)) if numbers else None
        return record | {"max_abs": found["max_abs"], "mean_abs": mean}
    if found["flips"] is None:
        return record | {"flips": None}
    flips = sorted(found["flips"].items(), key=lambda item: (-item[1], item[0]))
    named = [(*_labels_of(pair), count) for pair, count in flips]
    return record | {"flips": [{"champion": a, "challenger": b, "rows": count} for a, b, count in named]}
