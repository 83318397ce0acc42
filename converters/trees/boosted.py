"""What the parsers of XGBoost, LightGBM and CatBoost files give: trees, and what the library does around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.converters.trees.ensemble import Ensemble

Category = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Linear:
    """XGBoost's gblinear: `bias + base`, then one product after another is added, all in float32.

    weights: float32 [features, outputs]. start: float32 [outputs]. Missing values add nothing.
    """

    weights: NDArray[np.float32]
    start: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Boosted:
    """A parsed booster: margins `[batch, outputs]` come from `model`, predictions from the margins by `objective`.

    model: the trees, or the linear model of gblinear.
    objective: the library's name of the objective. parameter: what it needs (LightGBM's sigmoid,
        CatBoost's border of the margin).
    outputs: the number of margins of a row.
    features: the number of columns the model was trained on. names: what they are called, or ().
    sum_dtype: the type in which the library adds up leaves, "float32" (XGBoost) or "float64".
    truncated: columns that hold category codes; a fraction is cut off (toward zero) before the comparison.
    zero_missing: columns in which LightGBM takes |x| <= 1e-35 as missing.
    missing: a number that stands for a missing value beside NaN, or None.
    linear: LightGBM's linear trees: the columns whose coefficients the trees give. The ensemble then has
        outputs * (1 + len(linear)) targets: for each output the constant, then the coefficient of each column.
    divisor: the sums are divided by it (LightGBM's random forests).
    scale, bias: the margins are `scale * sums + bias` (CatBoost), bias one number an output.
    categories: for columns that were pandas categories, their values in the order of their codes.
    """

    model: Ensemble | Linear
    objective: str
    outputs: int
    features: int
    names: tuple[str, ...] = ()
    parameter: float = 1.0
    sum_dtype: str = "float64"
    truncated: tuple[int, ...] = ()
    zero_missing: tuple[int, ...] = ()
    missing: float | None = None
    linear: tuple[int, ...] = ()
    divisor: int = 1
    scale: float = 1.0
    bias: tuple[float, ...] = ()
    categories: tuple[tuple[int, tuple[Category, ...]], ...] = ()
