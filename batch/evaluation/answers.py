"""What the columns of a scored table mean, by the signature of the model that gave them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Category, Signature, TensorSpec

#: Beyond it one table of ranks a class would be made for an average that says little.
MOST_RANKED_CLASSES = 50

CLASSES, NUMBERS = "classes", "numbers"


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model's columns say. `prefix`: "" or "challenger_"; columns are named with it, as in the table.

    task: CLASSES or NUMBERS. label: the column of the predicted class, "" where the class with the largest of `ranks` is
    meant. value: the column of a regression. ranks: the column by which rows are ranked for a class (probabilities or
    a decision function), "" where there is none; width: its numbers a row, 0 for a plain column, which is of the last
    class. classes: in the order of `ranks`; empty where the signature lists none.
    text: whether classes are texts; truthful: whether they are booleans.
    """

    prefix: str
    task: str
    label: str = ""
    value: str = ""
    ranks: str = ""
    width: int = 0
    classes: tuple[Category, ...] = ()
    text: bool = False
    truthful: bool = False

    def class_index(self, wanted: str) -> int:
        """The class that `--positive` names. Raises BadInput with the classes there are."""
        for index, known in enumerate(self.classes):
            if wanted == class_text(known) or (isinstance(known, int | float) and wanted == str(known)):
                return index
        shown = ", ".join(class_text(known) for known in self.classes[:20])
        raise BadInput(f"--positive: the model has no class {wanted!r}", f"its classes are {shown}")


def class_text(value: Category | float | None) -> str:
    """A class as people write it: whole numbers without a point, truth values as numbers."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def answers_of(signature: Signature, prefix: str, columns: Mapping[str, str]) -> Answers:
    """columns: those of the table by name, with DuckDB's types. Raises BadInput where they cannot be judged with labels."""
    by_role = {spec.role: spec for spec in reversed(signature.outputs)}
    for spec in (by_role[role] for role in ("label", "value", "probabilities", "scores") if role in by_role):
        if prefix + spec.name not in columns:
            raise BadInput(
                f"the scored table has no column {prefix + spec.name!r}, which the model gives",
                "name the model that scored it, or score again",
            )
    if "value" in by_role:
        return _numbers(by_role["value"], prefix)
    ranked = next((by_role[role] for role in ("probabilities", "scores") if role in by_role), None)
    label = by_role.get("label")
    if label is None and (ranked is None or _width(ranked) == 0):
        roles = ", ".join(f"{spec.name} ({spec.role or 'meaning unknown'})" for spec in signature.outputs)
        raise BadInput(
            "the model gives neither a label nor a value, so there is nothing to hold against labels",
            "convert the model with mlpack convert from its source, which records what each output means",
            why=f"its outputs: {roles}",
        )
    classes = _classes(signature, label, ranked)
    column = columns[prefix + label.name] if label else "BIGINT"
    if label is not None and column.endswith("]"):
        raise BadInput(
            f"the output {label.name!r} holds several labels a row; only one label a row can be evaluated",
            "evaluate a model of one label",
        )
    text = column == "VARCHAR" or column.startswith("ENUM")
    if classes and text != isinstance(classes[0], str):
        classes = ()
    width = _width(ranked) if ranked is not None else 0
    fits = ranked is not None and (width == len(classes) if width else len(classes) == 2)
    return Answers(
        prefix, CLASSES,
        label=prefix + label.name if label else "",
        ranks=prefix + ranked.name if ranked is not None and fits else "",
        width=width if fits else 0, classes=classes, text=text,
        truthful=column == "BOOLEAN" or bool(classes and isinstance(classes[0], bool)),
    )  # fmt: skip


def _numbers(spec: TensorSpec, prefix: str) -> Answers:
    if _width(spec) > 1:
        raise BadInput(
            f"the output {spec.name!r} holds {_width(spec)} numbers a row; only one number a row can be evaluated",
            "evaluate a model of one target",
        )
    return Answers(prefix, NUMBERS, value=prefix + spec.name)


def _classes(signature: Signature, label: TensorSpec | None, ranked: TensorSpec | None) -> tuple[Category, ...]:
    """Those of the signature; without any, a net's classes are the positions of its probabilities."""
    if signature.classes or ranked is None or ranked.role != "probabilities":
        return signature.classes
    if label is not None and label.dtype == "string":
        return ()
    return tuple(range(_width(ranked)))


def _width(spec: TensorSpec) -> int:
    """Numbers a row: 0 for `[N]` and `[N, 1]`, which are plain columns of the table."""
    sizes = spec.shape[1:]
    if any(isinstance(size, str) for size in sizes):
        return 0
    count = math.prod(int(size) for size in sizes)
    return 0 if count <= 1 else count


def same_question(champion: Answers, challenger: Answers) -> None:
    """Raise BadInput where two models cannot be held against the same labels."""
    if (champion.task, champion.text) != (challenger.task, challenger.text):
        kinds = [("texts" if one.text else "classes by number") if one.task == CLASSES else "numbers" for one in (champion, challenger)]  # fmt: skip
        raise BadInput(
            f"the model answers with {kinds[0]}, the challenger with {kinds[1]}: no label fits both",
            "choose a challenger that answers the same question",
        )
