"""Run a fitted scikit-learn estimator as the reference: the same named inputs and outputs as its ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.signature import MISSING_TEXT, Signature
from mlpack_edge.runtimes.booster_wrappers import with_categories

Array = NDArray[Any]
#: An object of an untyped library (scikit-learn ships no type hints).
Estimator = Any


def run_estimator(estimator: Estimator, signature: Signature, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the estimator itself gives for `feeds`, under the names of the outputs in `signature`."""
    rows = table_from_feeds(estimator, signature, feeds)
    if len(rows) == 0:
        return {spec.name: _empty(spec.dtype, spec.shape) for spec in signature.outputs}
    methods = {
        "label": "predict",
        "probabilities": "predict_proba",
        "scores": "decision_function",
        "value": "predict",
        "transformed": "transform",
    }
    made = {}
    for spec in signature.outputs:
        result = getattr(estimator, methods[spec.role])(rows)
        array = np.asarray(result.toarray() if hasattr(result, "toarray") else result)
        if array.ndim < len(spec.shape):  # SparsePCA drops an axis where there is one row
            array = array.reshape(len(rows), -1)
        if len(spec.shape) == 1 and array.ndim == 2 and array.shape[1] == 1:  # CatBoost: many classes as a column
            array = array.reshape(len(rows))
        made[spec.name] = array.astype(object) if spec.dtype == "string" else array
    return made


def table_from_feeds(estimator: Estimator, signature: Signature, feeds: Mapping[str, Array]) -> Any:
    """The rows as the estimator was fitted on them: a data frame where it knows column names, else a matrix."""
    missing_text = {(column.input, column.index) for column in signature.columns if column.missing}
    arrays = []
    for spec in signature.inputs:
        array = feeds[spec.name]
        if spec.dtype == "string":
            array = array.astype(object)
            for index in range(array.shape[1]):
                if (spec.name, index) in missing_text:
                    column = array[:, index]
                    column[column == MISSING_TEXT] = np.nan
        arrays.append(array)
    if takes_documents(estimator):
        return arrays[0][:, 0]
    if getattr(estimator, "feature_names_in_", None) is None:
        return arrays[0] if len(arrays) == 1 else np.concatenate([a.astype(object) for a in arrays], axis=1)
    import pandas

    columns: dict[str, Any] = {}
    for column_spec in signature.columns:
        position = next(i for i, spec in enumerate(signature.inputs) if spec.name == column_spec.input)
        columns[column_spec.name] = arrays[position][:, column_spec.index]
    return with_categories(estimator, pandas.DataFrame(columns))


def takes_documents(estimator: Estimator) -> bool:
    """Whether the first thing that meets the rows is a vectorizer of text, which takes a sequence of texts."""
    from sklearn.utils import get_tags

    for owner in ("steps", "transformer_list"):
        parts = getattr(estimator, owner, None)
        if parts:
            return takes_documents(parts[0][1])
    for owner in ("best_estimator_", "estimator"):
        part = getattr(estimator, owner, None)
        if hasattr(part, "fit"):
            return takes_documents(part)
    if not hasattr(estimator, "__sklearn_tags__"):
        return False
    tags = get_tags(estimator).input_tags
    return bool(tags.string and not tags.two_d_array)


def _empty(dtype: str, shape: tuple[int | str, ...]) -> Array:
    sizes = [size if isinstance(size, int) else 0 for size in shape]
    return np.empty(sizes, object if dtype == "string" else np.dtype(dtype))
