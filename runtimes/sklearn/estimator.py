"""Run a fitted scikit-learn estimator as the reference: the same named inputs and outputs as its ONNX file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.core.errors import Unsupported
from mlpack_edge.core.signature import MISSING_TEXT, Signature, TensorSpec
from mlpack_edge.runtimes.boosters.wrappers import with_categories

Array = NDArray[Any]
#: An object of an untyped library (scikit-learn ships no type hints).
Estimator = Any


#: The method that gives an output, by its role.
_METHODS = {
    "label": "predict",
    "probabilities": "predict_proba",
    "scores": "decision_function",
    "value": "predict",
    "transformed": "transform",
}


def run_estimator(estimator: Estimator, signature: Signature, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the estimator itself gives for `feeds`, under the names of the outputs in `signature`.

    Raises Unsupported where the signature asks for what the estimator does not give, and what the estimator raises.
    """
    methods = {spec.name: _method(estimator, spec) for spec in signature.outputs}
    rows = table_from_feeds(estimator, signature, feeds)
    if len(rows) == 0:
        return {spec.name: _empty(spec.dtype, spec.shape) for spec in signature.outputs}
    made = {}
    for spec in signature.outputs:
        result = getattr(estimator, methods[spec.name])(rows)
        array = np.asarray(result.toarray() if hasattr(result, "toarray") else result)
        if array.ndim < len(spec.shape):  # SparsePCA drops an axis where there is one row
            array = array.reshape(len(rows), -1)
        if len(spec.shape) == 1 and array.ndim == 2 and array.shape[1] == 1:  # CatBoost: many classes as a column
            array = array.reshape(len(rows))
        made[spec.name] = array.astype(object) if spec.dtype == "string" else array
    return made


def _method(estimator: Estimator, spec: TensorSpec) -> str:
    """The method for an output; the file may be made elsewhere and not say what it means, or be of another model."""
    from sklearn.base import is_regressor

    if spec.role:
        method = _METHODS[spec.role]
    elif not hasattr(estimator, "predict"):
        method = "transform"
    else:
        method = "predict" if is_regressor(estimator) else ""
    if not method or not hasattr(estimator, method):
        raise Unsupported(
            f"the output {spec.name!r} cannot be compared with what {type(estimator).__name__} gives",
            "compare with a file that mlpack wrote: mlpack convert",
            why=f"it has no {method}" if method else "nothing in the file says what the output means",
        )
    return method


def table_from_feeds(estimator: Estimator, signature: Signature, feeds: Mapping[str, Array]) -> Any:
    """The rows as the estimator was fitted on them: a data frame where it knows column names, else a matrix."""
    # where the empty text is a category of its own, it is no sign for a missing one
    texts = {spec.name for spec in signature.inputs if spec.dtype == "string"}
    missing_text = {
        (column.input, column.index): place
        for place, column in enumerate(signature.columns)
        if column.missing and MISSING_TEXT not in column.categories and column.input in texts
    }
    nones = knows_none(estimator, len(signature.columns)) if missing_text else []
    arrays = []
    for spec in signature.inputs:
        array = feeds[spec.name]
        if spec.dtype == "string":
            array = array.astype(object)
            for index in range(array.shape[1]):
                if (spec.name, index) in missing_text:
                    column = array[:, index]
                    column[column == MISSING_TEXT] = None if nones[missing_text[spec.name, index]] else float("nan")
        arrays.append(array)
    if takes_documents(estimator):
        return arrays[0][:, 0]
    if of_first_step(estimator, "feature_names_in_") is None:
        return arrays[0] if len(arrays) == 1 else np.concatenate([a.astype(object) for a in arrays], axis=1)
    import pandas

    columns: dict[str, Any] = {}
    by_name = {spec.name: array for spec, array in zip(signature.inputs, arrays, strict=True)}
    for place, column_spec in enumerate(signature.columns):
        column = by_name[column_spec.input][:, column_spec.index]
        # pandas would make text of objects, and NaN of None
        kept = bool(nones) and nones[place] and column.dtype == object
        columns[column_spec.name] = pandas.Series(column, dtype=object) if kept else column
    return with_categories(estimator, pandas.DataFrame(columns))


def of_first_step(estimator: Estimator, name: str) -> Any:
    """`feature_names_in_` or `n_features_in_`, of the first part that is fitted on the rows as they come in.

    A pipeline and a search have them only where their very first step is an estimator, not where it is "passthrough".
    """
    found = getattr(estimator, name, None)
    if found is not None:
        return found
    if hasattr(estimator, "best_estimator_"):
        return of_first_step(estimator.best_estimator_, name)
    if hasattr(estimator, "steps"):
        real = next((step for _, step in estimator.steps if not _is_nothing(step)), None)
        return None if real is None else of_first_step(real, name)
    if hasattr(estimator, "transformer_list"):
        of_parts = (of_first_step(part, name) for _, part in estimator.transformer_list if not _is_nothing(part))
        return next((value for value in of_parts if value is not None), None)
    fitted = getattr(estimator, "estimators_", None)
    # numpy would take a pipeline for a sequence of its steps
    parts = fitted.ravel() if isinstance(fitted, np.ndarray) else fitted or [getattr(estimator, "estimator_", None)]
    return None if _is_nothing(parts[0]) else of_first_step(parts[0], name)


def _is_nothing(step: Estimator) -> bool:
    return step is None or isinstance(step, str)


def is_fitted(step: Estimator) -> bool:
    """Whether an estimator was fitted: templates and the parts of a column transformer without columns were not."""
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(step, BaseEstimator):
        own = getattr(step, "is_fitted", None)  # CatBoost
        return bool(own()) if callable(own) else True
    try:
        check_is_fitted(step)
    except NotFittedError:
        return False
    return True


def takes_documents(estimator: Estimator) -> bool:
    """Whether the first thing that meets the rows is a vectorizer of text, which takes a sequence of texts."""
    from sklearn.utils import get_tags

    if hasattr(estimator, "transformers_"):  # a column transformer gives each part columns of its own
        return False
    parts = list(_parts(estimator))
    if parts:
        return takes_documents(parts[0])
    if not hasattr(estimator, "__sklearn_tags__"):
        return False
    tags = get_tags(estimator).input_tags
    return bool(tags.string and not tags.two_d_array)


def knows_none(estimator: Estimator, width: int) -> list[bool]:
    """For each of `width` columns, whether None stood for missing text when the estimator was fitted, and not NaN."""
    if getattr(estimator, "n_features_in_", width) != width:  # a later step: its columns are not those that come in
        return [False] * width
    if hasattr(estimator, "transformers_"):
        found = [False] * width
        for name, part, _ in estimator.transformers_:
            places = [] if _is_nothing(part) else list(estimator._transformer_to_input_indices[name])
            for place, known in zip(places, knows_none(part, len(places)), strict=True):
                found[place] |= known
        return found
    categories = getattr(estimator, "categories_", None)
    if isinstance(categories, list) and len(categories) == width:
        return [None in np.asarray(known, object).tolist() for known in categories]
    if getattr(estimator, "missing_values", np.nan) is None:
        return [True] * width
    found = [False] * width
    for part in _parts(estimator):
        found = [before or now for before, now in zip(found, knows_none(part, width), strict=True)]
    return found


def _parts(estimator: Estimator) -> Iterator[Estimator]:
    """The parts of a compound estimator in the order in which they meet the rows."""
    for owner in ("steps", "transformers_", "transformer_list"):
        yield from (entry[1] for entry in getattr(estimator, owner, None) or () if not _is_nothing(entry[1]))
    for owner in ("best_estimator_", "estimator"):
        part = getattr(estimator, owner, None)
        if hasattr(part, "fit"):
            yield part


def _empty(dtype: str, shape: tuple[int | str, ...]) -> Array:
    sizes = [size if isinstance(size, int) else 0 for size in shape]
    return np.empty(sizes, object if dtype == "string" else np.dtype(dtype))
