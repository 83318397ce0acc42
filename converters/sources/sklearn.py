"""scikit-learn estimators as a source: `.skops` files, and pickles where the user says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.built import BuiltModel
from mlpack_edge.converters.onnx_from_sklearn.model import onnx_from_sklearn
from mlpack_edge.converters.onnx_graph import DEFAULT_OPSET
from mlpack_edge.converters.sources.sklearn_inputs import inputs_of
from mlpack_edge.converters.sources.source import SourceOptions, adopted
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.signature import MISSING_TEXT, Column, Signature
from mlpack_edge.runtimes.parity import RowsRefused
from mlpack_edge.runtimes.rows import Hints, make_groups
from mlpack_edge.runtimes.sklearn.estimator import Estimator, run_estimator, table_from_feeds
from mlpack_edge.runtimes.sklearn.files import load_pickle, load_skops

Array = NDArray[Any]

#: What estimators raise for rows they do not take. Vectorizers raise AttributeError: a missing text has no `lower`.
_REFUSALS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, np.linalg.LinAlgError)
#: In groups of more columns than this, three are asked for first.
_PROBES = 8
#: Fitted attributes that hold rows in the model's own feature space.
_KNOWN_ROWS = ("_fit_X", "cluster_centers_", "support_vectors_", "X_train_", "X_fit_", "centroids_")


def from_skops(name: str, options: SourceOptions) -> SklearnSource:
    """Open a `.skops` file as a source."""
    loaded = load_skops(Path(name), options.trust_pickle)
    return SklearnSource("skops", loaded.estimator, options, loaded.notes)


def from_pickle(name: str, options: SourceOptions) -> SklearnSource:
    """Open a pickle or joblib file as a source (Untrusted without --trust-pickle)."""
    loaded = load_pickle(Path(name), options.trust_pickle)
    return SklearnSource("pickle", loaded.estimator, options, loaded.notes)


class SklearnSource:
    """A fitted estimator: runs as scikit-learn runs it, converts to ONNX."""

    def __init__(self, kind: str, estimator: Estimator, options: SourceOptions, notes: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.estimator = _checked(_before(_checked(estimator), options.stop_before))
        self.options = options
        self.signature, self._facts, told = inputs_of(self.estimator, options)
        self._notes = [*notes, *told]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What the estimator gives. Raises RowsRefused where it does not take these rows."""
        try:
            with np.errstate(all="ignore"):
                return run_estimator(self.estimator, self.signature, feeds)
        except _REFUSALS as fault:
            raise RowsRefused(_first_line(fault)) from fault

    def convert(self) -> BuiltModel:
        """The ONNX model; afterwards `signature` names its outputs and says where missing values are taken."""
        signature = self.signature
        built = onnx_from_sklearn(self.estimator, signature, self.options.opset or DEFAULT_OPSET)
        self.signature = built.signature
        accepting = self._with_missing(built.signature)
        if accepting != built.signature:
            # Which columns take missing values shapes the graph of imputers and encoders: written once more.
            built = onnx_from_sklearn(self.estimator, accepting, self.options.opset or DEFAULT_OPSET)
        self.signature = built.signature
        return built

    def adopt(self, signature: Signature) -> None:
        """Answer under the inputs and outputs of a file made from this estimator."""
        self.signature = adopted(self.signature, signature)

    def hints(self) -> Hints:
        """Thresholds, ranges, categories and words of each column, and the rows that the model itself holds."""
        columns = {
            (column.input, column.index): facts.hint()
            for column, facts in zip(self.signature.columns, self._facts, strict=False)
        }
        return Hints(columns, self._known_rows())

    def step_outputs(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """What each step that transforms gives, by its path; steps that give text are left out."""
        rows = table_from_feeds(self.estimator, self.signature, feeds)
        root = "pipeline" if type(self.estimator).__name__ == "Pipeline" else "model"
        found = {}
        for path, made in _steps(self.estimator, rows, root):
            array = np.asarray(made.toarray() if hasattr(made, "toarray") else made)
            if array.dtype.kind in "fiub":
                found[path] = array
        return found

    def notes(self) -> list[str]:
        return list(self._notes)

    def _with_missing(self, signature: Signature) -> Signature:
        """Mark the columns in which the estimator takes missing values, by asking it."""
        plain = next(iter(make_groups(signature, self.hints(), 4)))
        try:
            self.run(plain.feeds)
        except RowsRefused:
            return signature
        alike: dict[Any, list[Column]] = {}
        for column, facts in zip(signature.columns, self._facts, strict=True):
            alike.setdefault((facts.kind, signature.input(column.input).dtype, *facts.route), []).append(column)
        if self._takes(signature, plain.feeds, signature.columns):
            taking = list(signature.columns)
        else:
            taking = [column for group in alike.values() for column in self._taking(signature, plain.feeds, group)]
        places = {(column.input, column.index) for column in taking}
        return _marked(signature, places)

    def _taking(self, signature: Signature, feeds: Mapping[str, Array], columns: Sequence[Column]) -> Sequence[Column]:
        """Those of `columns`, which go through the same steps, that may be missing: groups are split until it is known.

        Numbers of one way through the model are refused alike: where three of them are, the rest is not asked for.
        """
        if self._takes(signature, feeds, columns):
            return columns
        count = len(columns)
        if count == 1:
            return []
        if count > _PROBES and columns[0].kind == "numeric":
            probes = [columns[index] for index in (0, count // 2, count - 1)]
            if not any(self._takes(signature, feeds, [column]) for column in probes):
                return []
        halves = (columns[: count // 2], columns[count // 2 :])
        return [column for half in halves for column in self._taking(signature, feeds, half)]

    def _takes(self, signature: Signature, feeds: Mapping[str, Array], columns: Sequence[Column]) -> bool:
        """Whether a row with these columns missing is scored."""
        row = {name: array[:1].copy() for name, array in feeds.items()}
        for column in columns:
            array = row[column.input]
            if array.dtype.kind not in "fO":
                return False
            array[0, column.index] = MISSING_TEXT if array.dtype.kind == "O" else np.nan
        marked = _marked(signature, {(column.input, column.index) for column in columns})
        try:
            run_estimator(self.estimator, marked, row)
        except _REFUSALS:
            return False
        return True

    def _known_rows(self) -> dict[str, Array]:
        """Training rows, support vectors and centres, in the units of the input, where they can be had back."""
        spec = self.signature.inputs[0]
        if len(self.signature.inputs) > 1 or not spec.dtype.startswith("float"):
            return {}
        model, before = self.estimator, None
        if type(model).__name__ == "Pipeline":
            before, model = model[:-1], model.steps[-1][1]
        held = next((getattr(model, name) for name in _KNOWN_ROWS if hasattr(model, name)), None)
        if held is None or not hasattr(held, "dtype") or np.ndim(held) != 2:
            return {}
        rows = np.asarray(held.toarray() if hasattr(held, "toarray") else held)
        if before is not None and len(before.steps):
            try:
                rows = np.asarray(before.inverse_transform(rows))
            except _REFUSALS:
                return {}
        return {spec.name: rows.astype(np.dtype(spec.dtype))} if rows.shape[1] == spec.shape[1] else {}


def _marked(signature: Signature, places: AbstractSet[tuple[str, int]]) -> Signature:
    """The signature with missing values taken in the columns at `places` (input, index) alone."""
    columns = (replace(column, missing=(column.input, column.index) in places) for column in signature.columns)
    return replace(signature, columns=tuple(columns))


def _checked(estimator: Estimator) -> Estimator:
    """Only a fitted estimator is a model."""
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.utils.validation import check_is_fitted

    if isinstance(estimator, BaseSearchCV) and estimator.refit is False:
        raise BadInput(
            f"the {type(estimator).__name__} in the file has refit=False: it chose parameters and kept no model",
            "fit it with refit=True",
        )
    if not (hasattr(estimator, "predict") or hasattr(estimator, "transform")) or isinstance(estimator, type):
        raise BadInput(
            f"the file holds a {type(estimator).__module__}.{type(estimator).__qualname__}, which is no estimator",
            "save the fitted estimator or pipeline itself",
        )
    try:
        if isinstance(estimator, BaseEstimator):
            check_is_fitted(estimator)
    except NotFittedError as fault:
        raise BadInput(
            f"the {type(estimator).__name__} in the file is not fitted", "save it after calling fit"
        ) from fault
    return estimator


def _before(estimator: Estimator, stop: str | None) -> Estimator:
    """The steps of a pipeline, or of the one that a search chose, before the one named `stop`."""
    if stop is None:
        return estimator
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    names = [name for name, _ in getattr(estimator, "steps", [])]
    if stop not in names:
        raise BadInput(
            f"there is no step {stop!r} to stop before",
            f"the steps are: {', '.join(names) or 'none, it is no pipeline'}",
        )
    if names.index(stop) == 0:
        raise BadInput(f"nothing comes before the step {stop!r}", "name a later step")
    return estimator[: names.index(stop)]


def _steps(estimator: Estimator, rows: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, output) of every part that transforms, in the order of the data's way."""
    kind = type(estimator).__name__
    if kind == "Pipeline":
        for index, (_, step) in enumerate(estimator.steps):
            if step is None or isinstance(step, str):
                continue
            here = f"{path}.steps[{index}]"
            yield from _steps(step, rows, here)
            if not hasattr(step, "transform"):
                return
            rows = step.transform(rows)
            yield here, rows
    elif kind == "ColumnTransformer":
        from sklearn.utils import _safe_indexing

        for index, (_, step, columns) in enumerate(estimator.transformers_):
            if not isinstance(step, str):
                chosen = _safe_indexing(rows, columns, axis=1)
                here = f"{path}.transformers_[{index}]"
                yield from _steps(step, chosen, here)
                yield here, step.transform(chosen)
    elif kind == "FeatureUnion":
        for index, (_, step) in enumerate(estimator.transformer_list):
            if not isinstance(step, str):
                here = f"{path}.transformer_list[{index}]"
                yield from _steps(step, rows, here)
                yield here, step.transform(rows)


def _first_line(fault: Exception) -> str:
    lines = str(fault).strip().splitlines()
    return f"{type(fault).__name__}: {lines[0] if lines else ''}"[:300]
