"""The data-frame categories that the scikit-learn wrappers of XGBoost and LightGBM were fitted on."""

from __future__ import annotations

from typing import Any

from mlpack_edge.core.signature import Category

#: An object of an untyped library.
Estimator = Any


def categories_of_wrapper(estimator: Estimator) -> dict[int, tuple[Category, ...]]:
    """By column, the values of pandas categories in the order of their codes; empty for other estimators.

    Raises Unsupported where the library does not keep them so that they can be had back.
    """
    library = type(estimator).__module__.split(".")[0]
    if library == "xgboost" and hasattr(estimator, "get_booster"):
        from mlpack_edge.runtimes.boosters import xgboost

        return xgboost.categories_of(xgboost.document_of(estimator.get_booster()))
    if library == "lightgbm" and hasattr(estimator, "booster_"):
        from mlpack_edge.runtimes.boosters import lightgbm

        return lightgbm.categories_of(lightgbm.header_of(estimator.booster_))
    return {}


def with_categories(estimator: Estimator, frame: Any) -> Any:
    """A data frame whose columns have the categories that `estimator` was fitted on; unknown values become missing.

    estimator: a wrapper, or a pipeline of nothing but one.
    """
    while type(estimator).__name__ == "Pipeline" and len(estimator.steps) == 1:
        estimator = estimator.steps[0][1]
    known = categories_of_wrapper(estimator)
    if not known:
        return frame
    import pandas

    made = frame.copy()
    for index, categories in known.items():
        values = [value if value in categories else None for value in frame.iloc[:, index].tolist()]
        made[frame.columns[index]] = pandas.Categorical(values, categories=list(categories))
    return made
