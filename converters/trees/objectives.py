"""From margins to predictions, as each library's objective does it.

XGBoost 3.2 (`src/objective`, `src/common/math.h`) computes in float32, with the C library's exponential. LightGBM 4.7
(`src/objective/*.hpp`, ConvertOutput) and CatBoost 1.2 compute in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlpack_edge.converters.tensor import Tensor, beside
from mlpack_edge.core.errors import Unsupported


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an objective makes of margins `[batch, outputs]`.

    value: a regression or ranking score `[batch, outputs]`. positive: the probability of the second of two classes
    `[batch, 1]`. probabilities: `[batch, classes]`. scores: raw margins of a classifier `[batch, 1]`.
    index: class index `[batch]`, int64, with any of the last three.
    """

    value: Tensor | None = None
    positive: Tensor | None = None
    probabilities: Tensor | None = None
    scores: Tensor | None = None
    index: Tensor | None = None


_INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")
_EXP = tuple(map(float.fromhex, ("0x1.c6af84b912394p-5", "0x1.ebfce50fac4f3p-3", "0x1.62e42ff0c52d6p-1")))


def _identity(margin: Tensor, parameter: float) -> Outcome:
    return Outcome(value=margin)


def _exp32(x: Tensor) -> Tensor:
    """glibc's expf, which XGBoost calls: 2 ** (k / 32) times a polynomial of the rest, in float64, then rounded.

    Its result is the nearest float32 but for six in ten thousand arguments; those too come out here as there
    (sysdeps/ieee754/flt-32/e_expf.c and math_config.h of glibc 2.27 and later).
    """
    wide = x.cast("float64").clip(-200.0, 200.0) * (32 * _INVERSE_LN2)
    whole = Tensor(x.graph, x.graph.op("Round", wide.name), "float64", x.rank)
    rest = wide - whole
    two = x.graph.const(np.full((1,) * x.rank, 2.0))
    power = Tensor(x.graph, x.graph.op("Pow", two, (whole * (1 / 32)).name), "float64", x.rank)
    cubic, square, linear = _EXP[0] / 32**3, _EXP[1] / 32**2, _EXP[2] / 32
    return (((rest * cubic + square) * (rest * rest) + (rest * linear + 1.0)) * power).cast("float32")


def _sigmoid32(margin: Tensor) -> Tensor:
    """`common::Sigmoid(float)`: 1 / (expf(min(-x, 88.7)) + 1)."""
    return 1.0 / (_exp32((-margin).least(88.7)) + 1.0)


def _softmax32(margin: Tensor) -> Tensor:
    """`common::Softmax`: float32 exponentials, added in float64, divided in float32."""
    powers = _exp32(margin - margin.max())
    return powers / powers.cast("float64").sum().cast("float32")


def _binary(positive: Tensor) -> Outcome:
    return Outcome(positive=positive, index=(positive > 0.5).cast("int64").vector())


def _many(probabilities: Tensor) -> Outcome:
    return Outcome(probabilities=probabilities, index=probabilities.argmax())


def _logistic32(margin: Tensor, parameter: float) -> Outcome:
    return Outcome(value=_sigmoid32(margin))


def _logitraw(margin: Tensor, parameter: float) -> Outcome:
    return Outcome(scores=margin, index=(margin > 0.0).cast("int64").vector())


def _hinge(margin: Tensor, parameter: float) -> Outcome:
    return _binary((margin > 0.0).cast("float32"))


def _softmax_label(margin: Tensor, parameter: float) -> Outcome:
    """The class comes from the margins themselves; probabilities of near ties may round to one number."""
    return Outcome(probabilities=_softmax32(margin), index=margin.argmax())


Objective = Callable[[Tensor, float], Outcome]

_RAW_XGBOOST = (
    "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror",
    "reg:quantileerror", "rank:pairwise", "rank:ndcg", "rank:map",
)  # fmt: skip
_EXP_XGBOOST = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox")

XGBOOST: dict[str, Objective] = {
    **dict.fromkeys(_RAW_XGBOOST, _identity),
    **dict.fromkeys(_EXP_XGBOOST, lambda margin, _: Outcome(value=_exp32(margin))),
    "survival:aft": lambda margin, _: Outcome(
        value=margin.cast("float64").exp().cast("float32")
    ),  # calls exp, not expf
    "reg:logistic": _logistic32,
    "binary:logistic": lambda margin, _: _binary(_sigmoid32(margin)),
    "binary:logitraw": _logitraw,
    "binary:hinge": _hinge,
    "multi:softprob": lambda margin, _: _many(_softmax32(margin)),
    "multi:softmax": _softmax_label,
}


def _sigmoid64(margin: Tensor, parameter: float) -> Tensor:
    """1 / (1 + exp(-sigmoid * x)), the product before the exponential as in LightGBM."""
    return 1.0 / ((margin * -parameter).exp() + 1.0)


def _squared(margin: Tensor, parameter: float) -> Outcome:
    """reg_sqrt: Sign(x) * x * x."""
    sign = Tensor(margin.graph, margin.graph.op("Sign", margin.name), margin.dtype)
    return Outcome(value=sign * margin * margin)


def _log1p_exp(margin: Tensor, parameter: float) -> Outcome:
    """log1p(exp(x)) where no log1p is at hand: e * log(u) / (u - 1) with u = 1 + e (Kahan)."""
    power = margin.exp()
    raised = power + 1.0
    exact = power * raised.log() / (raised - 1.0)
    return Outcome(value=raised.equals(1.0).where(power, (power > 1e15).where(raised.log(), exact)))


_RAW_LIGHTGBM = (
    "", "custom", "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg",
)  # fmt: skip

LIGHTGBM: dict[str, Objective] = {
    **dict.fromkeys(_RAW_LIGHTGBM, _identity),
    **{f"{name} sqrt": _squared for name in ("regression", "regression_l1", "fair", "quantile", "mape")},
    **dict.fromkeys(("poisson", "gamma", "tweedie"), lambda margin, _: Outcome(value=margin.exp())),
    "binary": lambda margin, parameter: _binary(_sigmoid64(margin, parameter)),
    "multiclass": lambda margin, _: _many(margin.softmax()),
    "multiclassova": lambda margin, parameter: _many(_sigmoid64(margin, parameter)),
    "cross_entropy": lambda margin, _: Outcome(value=_sigmoid64(margin, 1.0)),
    "cross_entropy_lambda": _log1p_exp,
}


def _above_border(margin: Tensor, border: float) -> Outcome:
    """CatBoost compares the margin itself with the logit of its probability threshold."""
    return Outcome(positive=_sigmoid64(margin, 1.0), index=(margin > border).cast("int64").vector())


def _mean_and_variance(margin: Tensor, parameter: float) -> Outcome:
    """The second margin is the logarithm of the standard deviation."""
    return Outcome(value=beside([margin.columns(0, 1), (margin.columns(1, 2) * 2.0).exp()]))


_RAW_CATBOOST = (
    "RMSE", "MAE", "Quantile", "MultiQuantile", "MultiRMSE", "MAPE", "Lq", "RMSPE", "Huber", "Expectile",
    "LogLinQuantile", "LogCosh", "YetiRank", "YetiRankPairwise", "PairLogit", "PairLogitPairwise", "QueryRMSE",
    "QuerySoftMax", "LambdaMart", "StochasticRank",
)  # fmt: skip

CATBOOST: dict[str, Objective] = {
    **dict.fromkeys(_RAW_CATBOOST, _identity),
    **dict.fromkeys(("Poisson", "Tweedie"), lambda margin, _: Outcome(value=margin.exp())),
    "RMSEWithUncertainty": _mean_and_variance,
    **dict.fromkeys(("Logloss", "CrossEntropy"), _above_border),
    "MultiClass": lambda margin, _: Outcome(probabilities=margin.softmax(), index=margin.argmax()),
    "MultiClassOneVsAll": lambda margin, _: Outcome(probabilities=_sigmoid64(margin, 1.0), index=margin.argmax()),
}

_TABLES = {"XGBoost": XGBOOST, "LightGBM": LIGHTGBM, "CatBoost": CATBOOST}


def outcome(library: str, objective: str, margin: Tensor, outputs: int, parameter: float = 1.0) -> Outcome:
    """Apply an objective to margins `[batch, outputs]`; Unsupported where it has no converter."""
    found = _TABLES[library].get(objective)
    if found is None:
        raise Unsupported(
            f"the {library} objective {objective!r} has no converter",
            f"train with one of: {', '.join(name for name in _TABLES[library] if name)}",
        )
    made = found(margin, parameter)
    if outputs > 1 and made.index is not None and made.probabilities is None:
        # Several labels a row: the library gives each label's own probability, and no class.
        return Outcome(value=made.positive if made.positive is not None else made.scores)
    return made


def two_columns(positive: Tensor) -> Tensor:
    """The probabilities of both classes from that of the second, `[batch, 2]`."""
    return beside([1.0 - positive, positive])
