"""Which columns of a table feed which inputs of a model; decided by name and type before the first row."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mlpack_edge.batch.scoring.blocks import width_of
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import Column, Signature, TensorSpec

#: How columns without names are called: by mlpack and LightGBM, each followed by its number.
PLACEHOLDERS = ("x", "Column_")


@dataclass(frozen=True, slots=True)
class Mending:
    """What a command offers where columns do not fit. hint: of a name or a type; order: how columns are brought into one."""

    hint: str
    order: str


#: Of commands with the option --sql, and of those that read files as they are.
BY_QUERY = Mending("rename or cast it: --sql 'SELECT ... FROM ...' does both", " (--sql 'SELECT a, b, ... FROM ...')")
IN_THE_FILE = Mending("rename or cast it in the file: columns are read by the model's names, and as it takes them", "")


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the table that feeds one number or text a row.

    missing: whether the model takes missing values in it. text: whether it holds texts; an input of whole numbers takes
    the codes of `known.categories` for them (TFLite has no texts).
    """

    column: str
    missing: bool
    text: bool
    known: Column | None = None


@dataclass(frozen=True, slots=True)
class Fed:
    """An input of the model and what feeds it: `cells` in the order of its width, or a column of vectors (`vector`)."""

    spec: TensorSpec
    width: int
    cells: tuple[Cell, ...]
    vector: bool = False


def match(
    signature: Signature, schema: pa.Schema, aside: Collection[str] = (), mending: Mending = BY_QUERY
) -> tuple[Fed, ...]:
    """What feeds each input.

    mending: what errors advise. aside: columns (the key, kept ones) that are the model's only where it names them. Columns go by the signature's
    names; a model without names takes inputs of width one by their own names, a column of vectors under the input's
    name, else all other columns in their order if they are exactly as many as it takes and none of them is called as we
    call columns without names (then all must be). Raises BadInput naming every column that is missing, or the first whose type does
    not fit.
    """
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1}) if _has_doubles(schema) else []
    if twice:
        raise BadInput(f"several columns are named {twice[0]!r}", mending.hint, column=twice[0])
    fed = tuple(_fed(spec, signature, schema, aside, mending) for spec in signature.inputs)
    absent = [cell.column for item in fed for cell in item.cells if cell.column not in set(schema.names)]
    if absent:
        raise _missing(absent, schema, mending)
    for item in fed:
        for cell in item.cells:
            _check_type(item, cell, schema.field(cell.column).type, mending)
    return fed


def _has_doubles(schema: pa.Schema) -> bool:
    return len(set(schema.names)) < len(schema.names)


def _fed(spec: TensorSpec, signature: Signature, schema: pa.Schema, aside: Collection[str], mending: Mending) -> Fed:
    width = width_of(spec)
    named = sorted((item for item in signature.columns if item.input == spec.name), key=lambda item: item.index)
    if named and [item.index for item in named] != list(range(width)):
        raise BadInput(
            f"the model's signature names {len(named)} columns of the input {spec.name!r}, which has {width}",
            "convert the model again from its source", input=spec.name,
        )  # fmt: skip
    given = any(all(item.name == f"{word}{place}" for place, item in enumerate(named)) for word in PLACEHOLDERS)
    names = set(schema.names)
    cells = tuple(_cell(item.name, spec, item) for item in named)
    own = {cell.column for cell in cells}
    if named and (not given or own <= names or own & names.difference(aside)):
        return Fed(spec, width, cells)
    if spec.name in names and (width == 1 or _is_list(schema.field(spec.name).type)):
        vector = _is_list(schema.field(spec.name).type)
        return Fed(spec, width, (_whole(spec, named),), vector)
    rest = [name for name in schema.names if name not in aside]
    if len(signature.inputs) > 1 or len(spec.shape) > 2:
        raise _missing([spec.name], schema, mending)
    if len(rest) != width:
        raise BadInput(
            f"the model takes {width} columns and does not say their names; the table has {len(rest)}",
            f"give exactly those, in the model's order{mending.order}, a column of lists "
            f"named {spec.name!r}, or convert the model with --columns",
            why=f"columns beside the key and kept ones: {_some(rest)}",
        )  # fmt: skip
    if not named:
        return Fed(spec, width, tuple(_cell(name, spec, None) for name in rest))
    return Fed(spec, width, tuple(_cell(name, spec, item) for name, item in zip(rest, named, strict=True)))


def takes_text(dtype: str, known: Column | None) -> bool:
    """Whether a column that feeds an input of `dtype` holds texts: as they are, or as the codes of known categories."""
    texts = known is not None and any(isinstance(category, str) for category in known.categories)
    return dtype == "string" or (texts and np.dtype(dtype).kind in "iu")


def _cell(name: str, spec: TensorSpec, known: Column | None) -> Cell:
    return Cell(name, known is not None and known.missing, takes_text(spec.dtype, known), known)


def _whole(spec: TensorSpec, named: Sequence[Column]) -> Cell:
    """The column that is named as the input itself."""
    if len(named) == 1:
        return _cell(spec.name, spec, named[0])
    return Cell(spec.name, bool(named) and all(item.missing for item in named), spec.dtype == "string")


def _missing(absent: Sequence[str], schema: pa.Schema, mending: Mending) -> BadInput:
    near = {name: difflib.get_close_matches(name, schema.names, 1) for name in absent[:20]}
    said = ", ".join(f"{name!r}" + (f" (is it {found[0]!r}?)" if found else "") for name, found in near.items())
    more = f" and {len(absent) - 20} more" if len(absent) > 20 else ""
    return BadInput(
        f"the table lacks {len(absent)} column{'s' * (len(absent) > 1)} of the model: {said}{more}", mending.hint,
        why=f"it has {_some(schema.names)}", columns=list(absent),
    )  # fmt: skip


def _some(names: Sequence[str]) -> str:
    return (", ".join(names[:20]) or "none") + (f", ... ({len(names)})" if len(names) > 20 else "")


def _check_type(item: Fed, cell: Cell, given: pa.DataType, mending: Mending) -> None:
    kind = given
    if item.vector:
        kind, sizes = levels(given)
        wanted = item.spec.shape[1:] if len(sizes) > 1 else (item.width,)
        if len(sizes) != len(wanted) or any(size not in (None, want) for size, want in zip(sizes, wanted, strict=True)):
            raise _refused(
                item, cell, given, mending,
                f"its lists are {_sizes_text(sizes)}, the input has the shape {list(item.spec.shape)}",
            )  # fmt: skip
    why = refusal(kind, "string" if cell.text else item.spec.dtype)
    if why:
        raise _refused(item, cell, given, mending, why)


def _refused(item: Fed, cell: Cell, given: pa.DataType, mending: Mending, why: str) -> BadInput:
    return BadInput(
        f"column {cell.column!r} is {given}, the model takes {'text' if cell.text else item.spec.dtype} there: {why}",
        mending.hint, column=cell.column,
    )  # fmt: skip


def refusal(given: pa.DataType, dtype: str) -> str | None:
    """Why values of an Arrow type cannot feed a tensor of `dtype` (a numpy name or "string"), None where they can.

    Whole numbers feed whole numbers of any width and floats; each value is checked for exactness then. Floats feed
    floats, decimals feed floats (rounded), bool feeds bool and numbers, texts feed texts.
    """
    if pa.types.is_dictionary(given):
        given = given.value_type
    if pa.types.is_null(given):
        return None
    if is_text(given):
        return None if dtype == "string" else "a text is no number"
    if dtype == "string":
        return "the model takes texts as they were when it was trained"
    wanted = np.dtype(dtype).kind
    if pa.types.is_boolean(given):
        return None
    if wanted == "b":
        return "only true and false feed a bool"
    if pa.types.is_integer(given):
        return None
    if pa.types.is_floating(given) or pa.types.is_decimal(given):
        return None if wanted == "f" else "its fractions would be lost"
    if pa.types.is_temporal(given):
        return "the model does not say which number stands for a time"
    return "it is neither a number nor a text"


def is_text(given: pa.DataType) -> bool:
    """string, large_string or string_view."""
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given))


def _is_list(given: pa.DataType) -> bool:
    return bool(pa.types.is_list(given) or pa.types.is_large_list(given) or pa.types.is_fixed_size_list(given))


def levels(given: pa.DataType) -> tuple[pa.DataType, list[int | None]]:
    """What the innermost list holds, and the sizes of the lists from the outermost in; None where a size varies."""
    sizes: list[int | None] = []
    while _is_list(given):
        sizes.append(given.list_size if pa.types.is_fixed_size_list(given) else None)
        given = given.value_type
    return given, sizes


def _sizes_text(sizes: Sequence[int | None]) -> str:
    return " x ".join("?" if size is None else str(size) for size in sizes)
