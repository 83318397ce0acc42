"""Run a LightGBM model file as the reference: the same named inputs and outputs as its ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.core.extensions import missing_extra
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import Category, Signature
from mlpack_edge.runtimes.boosters import shared as boosters
from mlpack_edge.runtimes.boosters.lightgbm_text import LightgbmText, read_lightgbm_text
from mlpack_edge.runtimes.boosters.shared import Array, Booster


def load(path: Path) -> Booster:
    """Open a model text, whatever its suffix (BadInput where LightGBM refuses it, MissingExtra without LightGBM)."""
    try:
        import lightgbm
    except ModuleNotFoundError as fault:
        raise missing_extra("lightgbm", "LightGBM models") from fault
    try:
        text = path.read_text("utf-8")
    except OSError as fault:
        raise io_fault(fault, f"{path} could not be read") from fault
    except UnicodeDecodeError as fault:
        raise BadInput(
            f"{path} is not a model text of LightGBM", "save it with booster.save_model('model.txt')",
            why="it is not UTF-8 text",
        ) from fault  # fmt: skip
    read_lightgbm_text(text)
    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as fault:
        raise BadInput(
            f"LightGBM cannot open {path}", "save it again with booster.save_model('model.txt')", why=str(fault)
        ) from fault


def header_of(booster: Booster) -> LightgbmText:
    """The header and the first trees of the model."""
    return read_lightgbm_text(booster.model_to_string(num_iteration=1))


def categories_of(document: LightgbmText) -> dict[int, tuple[Category, ...]]:
    """The values of the columns that were data-frame categories; Unsupported where the file does not tell which.

    `feature_infos` gives "[low:high]" for numeric columns, "0:3:1" for categorical ones, "none" for constant ones.
    Ordered categories are split as numbers: their column has "[0:2]", as a column of whole numbers has. The lists of
    values are in the order of the columns; where only one choice of columns can have held them, it is that one.
    """
    lists = document.pandas_categorical
    if not lists:
        return {}
    infos = document.header["feature_infos"].split()
    marked = coded_columns(document)
    numbered = [index for index, info in enumerate(infos) if len(marked) < len(lists) and _holds_codes(info, lists)]
    found = sorted([*marked, *numbered])
    if len(found) != len(lists) or (numbered and "none" in infos):
        why = "columns of whole numbers look like ordered categories"
        hint = "train with unordered categories (cat.as_unordered()), or with their codes as numbers (cat.codes)"
        if "none" in infos:
            why, hint = "constant columns hide it", "drop constant columns before training"
        elif len(marked) > len(lists):
            why, hint = "other columns hold codes", "give all categorical columns the pandas dtype 'category'"
        raise Unsupported(
            f"{len(lists)} data-frame columns were categories, and the model does not tell which: {why}", hint
        )
    pairs = dict(zip(found, lists, strict=True))
    for index, values in pairs.items():
        if max(_codes(infos[index])) >= len(values):
            raise Unsupported(
                f"column {index} holds category codes that its {len(values)} data-frame categories do not explain",
                "give all categorical columns the pandas dtype 'category'",
            )
    return pairs


def _holds_codes(info: str, lists: Sequence[Sequence[Category]]) -> bool:
    """Whether a numeric column "[low:high]" may hold the codes of ordered categories."""
    if not info.startswith("["):
        return False
    low, high = (float(end) for end in info[1:-1].split(":"))
    return low >= 0 and low.is_integer() and high.is_integer() and high < max(map(len, lists))


def _codes(info: str) -> list[int]:
    return [int(float(code)) for code in info.strip("[]").split(":")]


def coded_columns(document: LightgbmText) -> list[int]:
    """Columns that LightGBM treats as categories."""
    infos = document.header.get("feature_infos", "").split()
    return [index for index, info in enumerate(infos) if info != "none" and not info.startswith("[")]


def objective_of(document: LightgbmText) -> tuple[str, int]:
    """The first word of the objective ("" for a custom one) and the number of outputs of a row."""
    words = document.header.get("objective", "").split()
    return (words[0] if words else ""), int(document.header["num_tree_per_iteration"])


def signature_of(booster: Booster, dtype: str = "float64") -> Signature:
    """Inputs, outputs and columns; numbers come in as `dtype`, floats leave as float32 where every input is float32."""
    document = header_of(booster)
    objective, outputs = objective_of(document)
    categories = categories_of(document)
    out = "float32" if dtype == "float32" and not categories else "float64"
    specs = boosters.value_outputs(out, outputs)
    classes: tuple[int, ...] = ()
    if objective in ("binary", "multiclass", "multiclassova"):
        classes = tuple(range(max(outputs, 2)))
        specs = boosters.classifier_outputs(out, len(classes))
    return boosters.tabular_signature(
        booster.feature_name(), dtype, categories, coded_columns(document), specs, classes
    )


def run_booster(booster: Booster, signature: Signature, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What `Booster.predict` gives, on one thread. Labels: p > 0.5, or the largest probability."""
    if boosters.rows_of(feeds) == 0:
        return boosters.empty(signature)
    made = np.asarray(booster.predict(boosters.table(signature, feeds), num_threads=1))
    if all(spec.role != "label" for spec in signature.outputs):
        return boosters.named(signature, {"value": made})
    if made.ndim == 1:
        return boosters.named(signature, {"label": made > 0.5, "probabilities": boosters.binary(made)})
    return boosters.named(signature, {"label": made.argmax(axis=1), "probabilities": made})
