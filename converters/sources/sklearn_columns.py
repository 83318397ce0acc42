"""What a fitted scikit-learn estimator knows of its input columns: kinds, categories, ranges, thresholds.

Walks the estimator as data flows and keeps, for each value that still is an input column (perhaps scaled), how to
get back: thresholds of a tree behind a scaler are found in the units of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlpack_edge.converters.onnx_from_boosters.columns import boosted_of, booster_thresholds
from mlpack_edge.converters.sources.sklearn_facts import ColumnFacts, Numbers, Origin, Origins
from mlpack_edge.converters.sources.sklearn_thresholds import thresholds_by_feature
from mlpack_edge.core.signature import Category
from mlpack_edge.runtimes.sklearn.estimator import is_fitted

#: An object of an untyped library (scikit-learn ships no type hints).
Estimator = Any


def explore(estimator: Estimator, names: Sequence[str] | None, width: int) -> list[ColumnFacts]:
    """The facts of each of `width` input columns; `names` are their names where the estimator knows them."""
    facts = [ColumnFacts() for _ in range(width)]
    _visit(estimator, [Origin(i, lambda values: values) for i in range(width)], facts, names)
    return facts


def _visit(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """Learn from a step and say where its output columns come from. What is not fitted never meets rows."""
    if not is_fitted(step):
        return []
    kind = type(step).__name__
    for pattern, visit in _VISITS:
        if kind in pattern:
            return visit(step, origins, facts, names)
    for part in _parts(step):
        _visit(part, origins, facts, names)
    _learn_thresholds(step, origins, facts)
    if _computes(step):
        _mark_numbers(origins, facts)
    if hasattr(step, "get_support"):
        for origin, kept in zip(origins, step.get_support(), strict=False):
            if origin is not None:
                facts[origin.column].route.append("kept" if kept else "dropped")
        return [origins[i] for i in np.flatnonzero(step.get_support()) if i < len(origins)]
    return [None] * _output_width(step)


def _computes(step: Estimator) -> bool:
    """Whether this is a predictor of scikit-learn's that computes with its columns: not a wrapper, not a dummy."""
    wraps = any(hasattr(step, name) for name in ("estimator", "estimators", "regressor", "base_estimator"))
    own = type(step).__module__.startswith("sklearn.") and not type(step).__name__.startswith("Dummy")
    return own and hasattr(step, "predict") and not wraps


def _mark_numbers(origins: Origins, facts: list[ColumnFacts]) -> None:
    for origin in origins:
        if origin is not None:
            facts[origin.column].numbers = True


def _parts(step: Estimator) -> Iterator[Estimator]:
    """The fitted estimators that a wrapper gives its own input to."""
    for name in ("best_estimator_", "estimator_", "regressor_", "base_estimator_"):
        part = getattr(step, name, None)
        if part is not None and hasattr(part, "get_params"):
            yield part
    for fitted in getattr(step, "calibrated_classifiers_", []):
        yield fitted.estimator
    if type(step).__name__.startswith(("Voting", "Stacking", "OneVs", "MultiOutput", "OutputCode")):
        yield from (part for part in getattr(step, "estimators_", []) if hasattr(part, "get_params"))


def _output_width(step: Estimator) -> int:
    try:
        return len(step.get_feature_names_out())
    except (AttributeError, ValueError, TypeError):
        return 0


def _pipeline(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    for _, part in step.steps:
        if part is None or isinstance(part, str):
            continue
        origins = _visit(part, origins, facts, names)
        names = None
    return origins


def _column_transformer(
    step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None
) -> Origins:
    made: Origins = []
    for label, part, columns in step.transformers_:
        chosen = _chosen(columns, names, len(origins))
        picked = [None if i is None else origins[i] for i in chosen]
        for origin in picked:
            if origin is not None:
                facts[origin.column].route.append(label)
        if isinstance(part, str):
            made += picked if part == "passthrough" else []
        elif chosen:
            known = None if names is None or None in chosen else [names[i] for i in chosen if i is not None]
            made += _visit(part, picked, facts, known)
    return made


def _chosen(columns: Any, names: Sequence[str] | None, width: int) -> Sequence[int | None]:
    """Fitted selectors as positions; None for a column whose name is not known here."""
    if isinstance(columns, str) or np.isscalar(columns):
        columns = [columns]
    if isinstance(columns, slice):
        if not isinstance(columns.start, str) and not isinstance(columns.stop, str):
            return list(range(width))[columns]
        if not names or any(isinstance(end, str) and end not in names for end in (columns.start, columns.stop)):
            return [None]
        known = list(names)
        first = 0 if columns.start is None else known.index(columns.start)
        last = width if columns.stop is None else known.index(columns.stop) + 1
        return list(range(first, last, columns.step or 1))
    items = np.asarray(columns, dtype=object).tolist()
    if items and all(isinstance(item, bool) for item in items):
        return [index for index, keep in enumerate(items) if keep]
    places = {name: index for index, name in enumerate(names or ())}
    return [places.get(item) if isinstance(item, str) else int(item) % width for item in items]


def _feature_union(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    made: Origins = []
    for _, part in step.transformer_list:
        if not isinstance(part, str):
            made += _visit(part, origins, facts, names)
        elif part == "passthrough":
            made += origins
    return made


def _elementwise(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """Scalers: learn the range, and how to undo them column by column."""
    _mark_numbers(origins, facts)
    for index, origin in enumerate(origins):
        if origin is None:
            continue
        bounds = _range_of(step, index)
        if bounds:
            ends = origin.back(np.array(bounds, np.float64))
            facts[origin.column].range(float(np.min(ends)), float(np.max(ends)))
    return [
        None if origin is None else Origin(origin.column, _undo(step, index, len(origins), origin.back))
        for index, origin in enumerate(origins)
    ]


def _undo(step: Estimator, index: int, width: int, back: Callable[[Numbers], Numbers]) -> Callable[[Numbers], Numbers]:
    def undo(values: Numbers) -> Numbers:
        rows = np.zeros((len(values), width))
        rows[:, index] = values
        with np.errstate(all="ignore"):
            return back(np.asarray(step.inverse_transform(rows)[:, index], np.float64))

    return undo


def _range_of(step: Estimator, index: int) -> tuple[float, float] | None:
    """The range of a column in training, as far as a scaler remembers it."""
    kind = type(step).__name__
    if kind == "StandardScaler":
        mean = 0.0 if step.mean_ is None else float(step.mean_[index])
        scale = 1.0 if step.scale_ is None else float(step.scale_[index])
        return mean - 3 * scale, mean + 3 * scale
    if kind == "MinMaxScaler":
        return float(step.data_min_[index]), float(step.data_max_[index])
    if kind == "MaxAbsScaler":
        return -float(step.max_abs_[index]), float(step.max_abs_[index])
    if kind == "RobustScaler":
        centre = 0.0 if step.center_ is None else float(step.center_[index])
        scale = 1.0 if step.scale_ is None else float(step.scale_[index])
        return centre - 3 * scale, centre + 3 * scale
    if kind == "QuantileTransformer":
        return float(step.quantiles_[0, index]), float(step.quantiles_[-1, index])
    return None


def _same_columns(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """Imputers: what comes out is the column, filled, and perhaps indicators after the columns."""
    filled = getattr(step, "statistics_", [])
    for origin, value in zip(origins, filled, strict=False):
        if origin is not None and isinstance(value, float | np.floating) and np.isfinite(value):
            facts[origin.column].values.append(origin.back(np.array([value], np.float64)))
        elif origin is not None and isinstance(value, str) and facts[origin.column].kind == "numeric":
            facts[origin.column].kind = "text"
            facts[origin.column].words = (value,)
    width = _output_width(step)
    kept = width == len(origins) or (getattr(step, "add_indicator", False) and _all_kept(step, len(origins)))
    return [*origins, *[None] * (width - len(origins))] if kept else [None] * width


def _all_kept(step: Estimator, width: int) -> bool:
    """Whether an imputer keeps every column (it drops those that were wholly missing in training)."""
    filled = getattr(step, "statistics_", None)
    return filled is not None and len(filled) == width and not any(_is_missing(value) for value in filled)


def _categories(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """Encoders: the categories of their columns, missing ones aside."""
    for origin, known in zip(origins, step.categories_, strict=False):
        if origin is None:
            continue
        column = facts[origin.column]
        plain = [value for value in np.asarray(known, dtype=object).tolist() if not _is_missing(value)]
        if column.kind != "categorical":
            column.kind, column.categories = "categorical", tuple(_category(value) for value in plain)
    return [None] * _output_width(step)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _histogram(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """HistGradientBoosting: the categories its own encoder holds, and thresholds."""
    encoder = getattr(getattr(step, "_preprocessor", None), "named_transformers_", {}).get("encoder")
    if encoder is not None:
        coded = [origins[i] for i in np.flatnonzero(step.is_categorical_) if i < len(origins)]
        _categories(encoder, coded, facts, names)
    _learn_thresholds(step, origins, facts)
    return []


def _category(value: Any) -> Category:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _bins(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """Binning and splines: their edges are places where something changes."""
    _mark_numbers(origins, facts)
    edges = step.bin_edges_ if hasattr(step, "bin_edges_") else [spline.t for spline in step.bsplines_]
    for origin, places in zip(origins, edges, strict=False):
        if origin is not None:
            inside = origin.back(np.asarray(places, np.float64))
            facts[origin.column].edges.append(inside)
            facts[origin.column].range(float(np.min(inside)), float(np.max(inside)))
    return [None] * _output_width(step)


def _binary(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """Binarizer: one threshold for every column."""
    _mark_numbers(origins, facts)
    for origin in origins:
        if origin is not None:
            facts[origin.column].edges.append(origin.back(np.array([step.threshold], np.float64)))
    return [None] * len(origins)


def _words(step: Estimator, origins: Origins, facts: list[ColumnFacts], names: Sequence[str] | None) -> Origins:
    """Vectorizers: their column is text, made of their vocabulary."""
    for origin in origins:
        if origin is not None:
            column = facts[origin.column]
            column.kind = "text"
            column.words = tuple(sorted(getattr(step, "vocabulary_", {}))[:2000])
    return [None] * _output_width(step)


def _learn_thresholds(step: Estimator, origins: Origins, facts: list[ColumnFacts]) -> None:
    boosted = boosted_of(step)
    for index, known in boosted.categories if boosted else ():
        origin = origins[index] if index < len(origins) else None
        if origin is not None:
            facts[origin.column].kind, facts[origin.column].categories = "categorical", known
    for feature, thresholds in booster_thresholds(boosted) if boosted else thresholds_by_feature(step):
        origin = origins[feature] if feature < len(origins) else None
        if origin is not None:
            facts[origin.column].edges.append(origin.back(thresholds))


_Visit = Callable[[Estimator, Origins, list[ColumnFacts], "Sequence[str] | None"], Origins]
_VISITS: tuple[tuple[frozenset[str], _Visit], ...] = (
    (frozenset({"Pipeline"}), _pipeline),
    (frozenset({"ColumnTransformer"}), _column_transformer),
    (frozenset({"FeatureUnion"}), _feature_union),
    (
        frozenset({"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "PowerTransformer", "QuantileTransformer"}),
        _elementwise,
    ),
    (frozenset({"SimpleImputer", "KNNImputer"}), _same_columns),
    (frozenset({"OneHotEncoder", "OrdinalEncoder", "TargetEncoder"}), _categories),
    (frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}), _histogram),
    (frozenset({"Binarizer"}), _binary),
    (frozenset({"KBinsDiscretizer", "SplineTransformer"}), _bins),
    (frozenset({"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}), _words),
)  # fmt: skip
