"""Which features a model has, by its signature alone: before any row is seen. Standard library alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mlpack_edge.core.signature import MISSING_TEXT, Category, Column, Signature, TensorSpec
from mlpack_edge.profiles.cells import category_text
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Source
from mlpack_edge.profiles.spec_json import RESERVED

#: Elements of an input beyond which it is an image or the like, whose single elements say nothing.
WIDEST_INPUT = 256
#: Elements of an output that are features each; of wider ones the place of the largest and its value.
WIDEST_OUTPUT = 16
#: `Source.index` of what is made from all elements: the place of the largest (by its class), and its value.
LARGEST_PLACE, LARGEST_VALUE = -1, -2


@dataclass(frozen=True, slots=True)
class Slot:
    """A feature before its cells are known. category: its values are texts (a label, a category), else numbers.

    known: values of the model itself. declared: the model says that it is a category, so it is one however many differ.
    """

    source: Source
    category: bool
    known: tuple[str, ...] = ()
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Slots:
    """In the order of the spec. probabilities: the output whose largest element is the confidence, "" for none. notes: what
    is not profiled, and why."""

    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    probabilities: str
    notes: tuple[str, ...]

    @property
    def all(self) -> tuple[Slot, ...]:
        return (*self.inputs, *self.outputs)


def slots_of(signature: Signature) -> Slots:
    """Columns of tabular models, `x[0]`, ... of small tensors without names; of outputs labels, class probabilities and
    values. Names are unique, and none is that of another group of a profile."""
    notes: list[str] = []
    inputs = [slot for spec in signature.inputs for slot in _inputs(spec, signature, notes)]
    outputs = [slot for spec in signature.outputs for slot in _outputs(spec, signature, notes)]
    sure = next((spec.name for spec in signature.outputs if spec.role == "probabilities"), "")
    taken = set(RESERVED)
    return Slots(tuple(_named(inputs, taken)), tuple(_named(outputs, taken)), sure, tuple(notes))


def _inputs(spec: TensorSpec, signature: Signature, notes: list[str]) -> Iterator[Slot]:
    columns = {column.index: column for column in signature.columns if column.input == spec.name}
    width = width_of(spec)
    if not columns and (width is None or width > WIDEST_INPUT):
        size = "of no fixed size" if width is None else f"of {width:,} numbers a row"
        notes.append(f"the input {spec.name!r}, {size}, is not profiled: single elements of it say nothing")
        return
    for index in range(width or 0):
        column = columns.get(index)
        name = column.name if column else f"{spec.name}[{index}]" if width != 1 else spec.name
        source = Source(name, INPUT, spec.name, index, column.unit if column else "")
        yield Slot(
            source, _is_category(spec, column), _known(column), column is not None and column.kind == "categorical"
        )


def _is_category(spec: TensorSpec, column: Column | None) -> bool:
    if column is None or column.kind == "numeric":
        return spec.dtype in ("string", "bool")
    return True


def _known(column: Column | None) -> tuple[str, ...]:
    return _texts(column.categories) if column else ()


def _texts(categories: tuple[Category, ...]) -> tuple[str, ...]:
    """As values are looked up; a missing one is counted as missing."""
    found = (category_text(category) for category in categories)
    return tuple(dict.fromkeys(text for text in found if text is not None and text != MISSING_TEXT))


def _outputs(spec: TensorSpec, signature: Signature, notes: list[str]) -> Iterator[Slot]:
    width, classes = width_of(spec), _texts(signature.classes)
    if width is None:
        notes.append(f"the output {spec.name!r} is not profiled: its rows are of no fixed size")
    elif spec.role == "label" or spec.dtype in ("string", "bool"):
        known = classes if spec.role == "label" else ()
        for index in range(width if width <= WIDEST_OUTPUT else 0):
            yield Slot(_output(spec, index, width), True, known, bool(known))
    elif spec.role == "probabilities" and width == 2 == len(classes):
        yield Slot(Source(f"{spec.name}[{classes[1]}]", OUTPUT, spec.name, 1), False)
    elif width <= WIDEST_OUTPUT:
        of_classes = spec.role in ("probabilities", "scores", "proportions") and len(classes) == width > 1
        for index in range(width):
            yield Slot(_output(spec, index, width, classes[index] if of_classes else ""), False)
    elif len(spec.shape) == 2:
        known = classes if len(classes) == width else tuple(str(place) for place in range(width))
        yield Slot(Source(f"{spec.name}.largest", OUTPUT, spec.name, LARGEST_PLACE), True, known, True)
        yield Slot(Source(f"{spec.name}.largest_value", OUTPUT, spec.name, LARGEST_VALUE), False)
    else:
        notes.append(f"the output {spec.name!r} is not profiled: {list(spec.shape)} is neither a label nor a score")


def _output(spec: TensorSpec, index: int, width: int, name: str = "") -> Source:
    named = spec.name if width == 1 else f"{spec.name}[{name or index}]"
    return Source(named, OUTPUT, spec.name, index)


def width_of(spec: TensorSpec) -> int | None:
    """Elements a row; None where a size beside the batch is open."""
    sizes = [size for size in spec.shape[1:] if isinstance(size, int)]
    return math.prod(sizes) if len(sizes) == len(spec.shape[1:]) else None


def _named(slots: list[Slot], taken: set[str]) -> Iterator[Slot]:
    for slot in slots:
        name, source = slot.source.name, slot.source
        while name in taken:
            name += f" ({source.role})"
        taken.add(name)
        yield Slot(
            Source(name, source.role, source.tensor, source.index, source.unit),
            slot.category,
            slot.known,
            slot.declared,
        )
