"""Run a LightGBM model file as the reference: the same named inputs and outputs as its ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
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
    """
    lists = document.pandas_categorical
    if not lists:
        return {}
    infos = document.header["feature_infos"].split()
    marked = coded_columns(document)
    if len(marked) != len(lists):
        why = "constant columns hide it" if "none" in infos else "some are ordered, or other columns hold codes"
        raise Unsupported(
            f"{len(lists)} data-frame columns were categories, and the model does not tell which: {why}",
            "drop constant columns before training, and give all categorical columns the pandas dtype 'category'",
        )
    found = dict(zip(marked, lists, strict=True))
    for index, values in found.items():
        if max(map(int, infos[index].split(":"))) >= len(values):
            raise Unsupported(
                f"column {index} holds category codes that its {len(values)} data-frame categories do not explain",
                "give all categorical columns the pandas dtype 'category', unordered",
            )
    return found


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
