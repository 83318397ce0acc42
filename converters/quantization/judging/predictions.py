"""Which output is held against labels, and how a metric reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.quantization.judging import labels, metrics
from mlpack_edge.converters.quantization.judging.outputs import Naming, Seen, are_classes
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Signature

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Prediction:
    """How `metric` reads an output. naming: for metrics of classes. columns: numbers a row of the output. classes: of the
    model; one object serves all candidates, so that codes stay what they are. softmax: whether the numbers are logits of
    which probabilities are to be made."""

    metric: str
    output: str
    naming: Naming | None
    columns: int
    classes: labels.Classes | None
    softmax: bool = False

    def truth(self, array: Array, start: int) -> Array:
        """Labels `[rows]` or `[rows, ...]`, the first of row `start`, as the metric takes them."""
        if self.classes is None:
            return labels.numbers(array, start, self.columns)
        return self.classes.of_labels(array, start)

    def answer(self, array: Array) -> Array:
        """The output's array as the metric takes it."""
        if self.naming is not None:
            named = self.naming.labels(array)
            if self.naming.how == "labels" and self.classes is not None:
                return self.classes.of_answers(named)
            return named.astype(np.int64)
        flat = array.reshape(len(array), -1)
        if self.softmax:
            return _softmax(flat)
        if self.metric == "logloss" and self.columns == 1:
            return np.concatenate([1 - flat, flat], axis=1)
        return flat


def default_metric(signature: Signature, seen: Mapping[str, Seen]) -> str:
    """accuracy where the model gives classes, rmse where it gives values; BadInput where that cannot be told."""
    roles = {one.spec.role for one in seen.values()}
    if "value" in roles:
        return "rmse"
    if (
        "label" in roles
        or any(are_classes(signature, seen, name) for name in seen if seen[name].columns)
        or _named_integers(seen)
    ):
        return "accuracy"
    if any(_single(one) and one.spec.role in ("probabilities", "proportions", "scores") for one in seen.values()):
        return "accuracy"
    raise BadInput(
        "nothing says whether the model gives classes or values",
        f"say it with --metric: {', '.join(metrics.METRICS)}", why=f"its outputs are {describe(seen)}",
    )  # fmt: skip


def prediction(signature: Signature, seen: Mapping[str, Seen], metric: str) -> Prediction:
    """The output that `metric` is taken of, by role; without roles, the only one that could be meant.

    Classes: the role "label"; else the largest of the columns of classes; else a single number a row, above 0.5 where it
    lies in 0..1 on all rows (or has the role "probabilities" or "proportions"), else above 0. Ranks and
    probabilities: those columns, or that number. Values: the role "value", else the only numbers there are.
    Raises BadInput where none fits or several do, with what there is.
    """
    if metric not in metrics.METRICS:
        raise BadInput(f"--metric {metric!r} is not known", f"choose one of {', '.join(metrics.METRICS)}")
    kind = metrics.OF[metric]
    if kind == "values":
        name = _only(seen, metric, [one for one in seen if _is_value(seen[one])], ("value",))
        return Prediction(metric, name, None, seen[name].columns or 1, None)
    if kind == "classes":
        named = [one for one in seen if seen[one].spec.role == "label"] or _named_integers(seen)
        if named:
            name = _only(seen, metric, named, ("label",))
            if seen[name].columns != 1:
                raise BadInput(
                    f"the output {name!r} holds several labels a row; {metric} is taken of one",
                    "judge without labels, by agreement with the float model",
                )
            known = signature.classes or None
            text = seen[name].spec.dtype == "string"
            return Prediction(metric, name, Naming(name, "labels"), 1, labels.Classes(known, text))
    name = _only(
        seen,
        metric,
        [one for one in seen if _is_ranked(signature, seen, one)],
        ("probabilities", "scores", "proportions"),
    )
    return _ranked(signature, seen[name], metric)


def _ranked(signature: Signature, one: Seen, metric: str) -> Prediction:
    """Of columns of classes, or of the single number that says how much a row is of the second class."""
    name, columns = one.spec.name, one.columns or 1
    count = max(columns, 2)
    known: Sequence[object] = signature.classes if len(signature.classes) == count else range(count)
    classes = labels.Classes(known)
    if metrics.OF[metric] == "classes":
        share = one.spec.role in ("probabilities", "proportions") or (one.spec.role != "scores" and _within(one))
        largest = one.class_axis if columns > 1 else None
        naming = (
            Naming(name, "above", 0.5 if share else 0.0) if largest is None else Naming(name, "largest", axis=largest)
        )
        return Prediction(metric, name, naming, columns, classes)
    softmax = False
    if metric == "logloss" and not (one.shares if columns > 1 else _within(one)):
        if one.spec.role or columns == 1:
            raise BadInput(
                f"logloss needs probabilities, and the output {name!r} has none", "choose --metric accuracy, f1 or auc",
                why=f"its rows do not add up to 1, or leave 0..1 ({one.low:g} to {one.high:g})",
            )  # fmt: skip
        softmax = True
    return Prediction(metric, name, None, columns, classes, softmax)


def _only(seen: Mapping[str, Seen], metric: str, fitting: Sequence[str], roles: Sequence[str]) -> str:
    """The first role that one alone has, else the only one that fits."""
    for role in roles:
        of_role = [name for name in fitting if seen[name].spec.role == role]
        if len(of_role) == 1:
            return of_role[0]
        if of_role:
            break
    if len(fitting) == 1:
        return fitting[0]
    what = "several outputs could be meant" if fitting else "no output fits"
    raise BadInput(
        f"--metric {metric}: {what}",
        f"choose another --metric ({', '.join(metrics.METRICS)}), or judge without labels, by agreement with the float model",
        why=f"the outputs are {describe(seen)}; {metric} is taken of "
        + {"classes": "a label, one score a class, or one score a row", "values": "one value a row"}.get(
            metrics.OF[metric], "one score a class, or one score a row"
        ),
    )


def _is_value(one: Seen) -> bool:
    """Numbers, of which nobody said that they are anything else than values."""
    return one.aligned and one.columns is not None and one.spec.role in ("", "value") and not _is_text(one)


def _is_ranked(signature: Signature, seen: Mapping[str, Seen], name: str) -> bool:
    one = seen[name]
    if one.labels or one.columns is None or one.spec.role in ("label", "value", "transformed"):
        return False
    if one.columns == 1:
        return True
    known = any(are_classes(signature, seen, other) for other in seen if seen[other].columns)
    return are_classes(signature, seen, name) if known else one.spec.role in ("", "probabilities", "scores")


def _named_integers(seen: Mapping[str, Seen]) -> list[str]:
    """Outputs of names without a role, which count as labels where nothing else says what the classes are."""
    return [name for name, one in seen.items() if one.labels and one.columns == 1]


def _is_text(one: Seen) -> bool:
    return one.spec.dtype == "string"


def _single(one: Seen) -> bool:
    return not one.labels and one.columns == 1


def _within(one: Seen) -> bool:
    return one.low >= 0 and one.high <= 1


def describe(seen: Mapping[str, Seen]) -> str:
    """`boxes (float32 [N, 100, 4], role unknown), label (int64 [N], label)`."""
    return ", ".join(
        f"{name} ({one.spec.dtype} [{', '.join(_sizes(one))}], {one.spec.role or 'meaning unknown'})"
        for name, one in seen.items()
    )


def _sizes(one: Seen) -> list[str]:
    if one.sizes is None:
        return ["?"]
    return ["N" if place == 0 else str(size or "?") for place, size in enumerate(one.sizes)]


def _softmax(logits: Array) -> Array:
    numbers = logits.astype(np.float64)
    powers = np.exp(numbers - numbers.max(axis=1, keepdims=True))
    return np.asarray((powers / powers.sum(axis=1, keepdims=True)).astype(logits.dtype))
