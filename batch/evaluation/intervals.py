"""Intervals of 95 % around the figures of an evaluation. Pure; the standard library alone.

All treat the labelled rows as independent draws. Rows that come in bunches (many of one customer) carry less than their
number says, and every interval here is then too narrow.
"""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

LEVEL = 0.95
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)

Interval = tuple[float, float]


def wilson(hits: int, rows: int) -> Interval:
    """Of a share `hits / rows`: the score interval of Wilson, "Probable inference, the law of succession, and
    statistical inference", JASA 22 (1927). It lies within [0, 1] and has a width also where no row or every row hits.

    rows must be at least 1.
    """
    share = hits / rows
    shrink = 1 + Z * Z / rows
    middle = (share + Z * Z / (2 * rows)) / shrink
    half = Z / shrink * math.sqrt(share * (1 - share) / rows + Z * Z / (4 * rows * rows))
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == rows else min(1.0, middle + half)
    return low, high


def f1_interval(true_positives: int, wrong: int) -> Interval:
    """Of F1 = 2 TP / (2 TP + FP + FN), `wrong` being FP + FN: Wilson's interval of TP / (TP + FP + FN), carried over.

    F1 = 2 J / (1 + J) rises with that share J, and given the number of rows that are not true negatives TP is binomial,
    so the interval of J becomes that of F1: the "Wilson indirect" one in Lam, Gopal and Qian, "Confidence intervals for
    the F1 score: a comparison of four methods" (2023, arXiv 2309.14621). true_positives + wrong must be at least 1.
    """
    low, high = wilson(true_positives, true_positives + wrong)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def t_quantile(freedom: int) -> float:
    """The 0.975 quantile of Student's t, off by less than 4e-3 of 3 degrees of freedom, 3e-5 of 8, 4e-8 of 29.

    Cornish and Fisher's expansion around the normal quantile, Abramowitz and Stegun (1964) 26.7.5; closed forms below 3.
    """
    if freedom < 3:
        share = LEVEL / 2
        return math.tan(math.pi * share) if freedom == 1 else 2 * share * math.sqrt(2 / (1 - 4 * share * share))
    z, n = Z, float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / n**power for power, term in enumerate(terms, 1))


def mean_interval(mean: float, variance: float, rows: int) -> Interval:
    """Of a mean of `rows` numbers with sample variance `variance` (n - 1): Student's t. rows must be at least 2."""
    half = t_quantile(rows - 1) * math.sqrt(variance / rows)
    return mean - half, mean + half


def root_mean_square_interval(mean_square: float, variance: float, rows: int) -> Interval:
    """Of the root of a mean of squares, `variance` being the sample variance of the squares.

    The delta method on the logarithm: log RMSE = log(MSE) / 2 has the standard error se(MSE) / (2 MSE); the interval
    is never negative and follows the skew of squares. mean_square must be positive, rows at least 2.
    """
    root = math.sqrt(mean_square)
    half = t_quantile(rows - 1) * math.sqrt(variance / rows) / (2 * mean_square)
    return root * math.exp(-half), root * math.exp(half)


def area_interval(area: float, variance: float) -> Interval:
    """Of an area under the ROC curve with DeLong's `variance` (of the estimate): normal on the logit, and so within (0, 1).

    Pepe, "The statistical evaluation of medical tests" (2003), chapter 5. area must lie strictly between 0 and 1.
    """
    middle = math.log(area / (1 - area))
    half = Z * math.sqrt(variance) / (area * (1 - area))
    return _logistic(middle - half), _logistic(middle + half)


def difference_interval(difference: float, variance: float) -> Interval:
    """Of a difference of two figures with the variance of that estimate: normal."""
    half = Z * math.sqrt(variance)
    return difference - half, difference + half


def paired_shares_interval(only_first: int, only_second: int, rows: int) -> Interval:
    """Of the difference of two shares on the same rows, second less first, from the rows on which only one of them hits.

    Wald's interval with one row added to either count: Bonett and Price, "Adjusted Wald confidence interval for a difference
    of binomial proportions based on paired data", JEBS 37 (2012). rows must be at least 1.
    """
    first, second = (only_first + 1) / (rows + 2), (only_second + 1) / (rows + 2)
    low, high = difference_interval(second - first, (first + second - (second - first) ** 2) / (rows + 2))
    return max(-1.0, low), min(1.0, high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p value that rows on which just one of two models is right favour neither.

    McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12 (1947): exact
    binomial up to 1,000 such rows, beyond that normal with Edwards' correction for continuity.
    """
    total, fewer = only_first + only_second, min(only_first, only_second)
    if total <= 1000:
        tail = sum(math.comb(total, hits) for hits in range(fewer + 1))
        return min(1.0, float(Fraction(2 * tail, 2**total)))
    away = max(0, abs(only_first - only_second) - 1) / math.sqrt(total)
    return math.erfc(away / math.sqrt(2))


def _logistic(number: float) -> float:
    if number >= 0:
        return 1 / (1 + math.exp(-number))
    return math.exp(number) / (1 + math.exp(number))
