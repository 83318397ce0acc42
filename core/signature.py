"""What goes into a model and what comes out: names, element types, shapes, and the columns of tabular models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mlpack_edge.core.errors import BadInput

#: Version of the JSON form; readers refuse a later one.
SCHEMA = 1
#: The metadata key under which the JSON form travels inside a model file.
METADATA_KEY = "mlpack.signature"
#: A tensor of strings has no null: in columns that take missing values, this text stands for it.
MISSING_TEXT = ""

Dimension = int | str
Category = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Grid:
    """What the codes of a quantized tensor stand for: real = scale * (code - zero_point), one scale for all."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One tensor. `dtype` is a numpy name or "string"; a symbolic size is a str (`"batch"`).

    `role` says what an output means: "label", "probabilities", "scores" (a decision function),
    "proportions" (each between 0 and 1 for itself, as a sigmoid gives them, perhaps beside other numbers), "value" (a
    regression), "transformed", or "" where nobody said. `grid`: of a tensor of codes, None where nobody said or it is none.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    role: str = ""
    grid: Grid | None = None

    @property
    def is_dynamic(self) -> bool:
        return any(isinstance(size, str) for size in self.shape)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a tabular model: column `index` of the input tensor named `input`.

    kind: "numeric", "categorical" (`categories` lists the known values) or "text".
    missing: whether the model takes missing values in it: NaN in numbers, MISSING_TEXT in text.
    """

    name: str
    kind: str
    input: str
    index: int = 0
    categories: tuple[Category, ...] = ()
    unit: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    columns: tuple[Column, ...] = ()
    #: Class labels in the order of the columns of `probabilities`; empty for other models.
    classes: tuple[Category, ...] = ()

    def input(self, name: str) -> TensorSpec:
        return next(spec for spec in self.inputs if spec.name == name)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "inputs": [_spec_to_json(spec) for spec in self.inputs],
            "outputs": [_spec_to_json(spec) for spec in self.outputs],
            "columns": [
                {
                    "name": column.name,
                    "kind": column.kind,
                    "input": column.input,
                    "index": column.index,
                    "categories": list(column.categories),
                    "unit": column.unit,
                    "missing": column.missing,
                }
                for column in self.columns
            ],
            "classes": list(self.classes),
        }

    def dumps(self) -> str:
        """The JSON text that travels in a file: sorted and compact, so that equal signatures are equal bytes."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _spec_to_json(spec: TensorSpec) -> dict[str, Any]:
    record: dict[str, Any] = {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape), "role": spec.role}
    if spec.grid is not None:
        record["grid"] = {"scale": spec.grid.scale, "zero_point": spec.grid.zero_point}
    return record


def signature_from_json(record: dict[str, Any]) -> Signature:
    """Read what `Signature.to_json` wrote; unknown keys are ignored, a later schema is refused (BadInput)."""
    try:
        if record["schema"] > SCHEMA:
            raise BadInput(
                f"the signature has schema {record['schema']}, this mlpack reads up to {SCHEMA}",
                "upgrade mlpack-edge, or convert the model again with this version",
            )
        return Signature(
            inputs=tuple(_spec_from_json(spec) for spec in record["inputs"]),
            outputs=tuple(_spec_from_json(spec) for spec in record["outputs"]),
            columns=tuple(
                Column(
                    str(column["name"]), str(column["kind"]), str(column["input"]), int(column["index"]),
                    tuple(column["categories"]), str(column["unit"]), bool(column["missing"]),
                )
                for column in record["columns"]
            ),
            classes=tuple(record["classes"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise BadInput(
            "the signature in the file is not one that mlpack wrote",
            "convert the model again from its source",
            why=f"{type(fault).__name__}: {fault}",
        ) from fault


def signature_from_text(text: str) -> Signature:
    """Read the JSON text of a metadata entry (BadInput where it is none)."""
    try:
        record = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as fault:
        raise BadInput(
            "the signature in the file is not JSON", "convert the model again from its source", why=str(fault)
        ) from fault
    return signature_from_json(record)


def _spec_from_json(record: dict[str, Any]) -> TensorSpec:
    shape = tuple(size if isinstance(size, str) else int(size) for size in record["shape"])
    return TensorSpec(
        str(record["name"]), str(record["dtype"]), shape, str(record.get("role", "")), _grid(record.get("grid"))
    )


def _grid(record: dict[str, Any] | None) -> Grid | None:
    return None if record is None else Grid(float(record["scale"]), int(record["zero_point"]))
