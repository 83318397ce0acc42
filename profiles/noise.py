"""Differential privacy of one report: noise on the counters of one feature, chosen by lot, and nothing else in it.

What is promised. Take any two windows that differ by one row more or less. Whatever a report says, its probability under the one is
at most e^epsilon times that under the other: pure epsilon-differential privacy, the unit a row of one window. A row lies in one cell
of a feature, so one counter differs by one, and discrete Laplace noise of scale 1/epsilon on every counter of that feature is
enough (Dwork, McSherry, Nissim and Smith 2006; Ghosh, Roughgarden and Sundararajan 2009). Which feature is drawn does not
depend on rows. Totals, sums, the other features, confidence, latency and outcomes would tell more, and are left out.

What is not promised. k rows of one person are protected by k epsilon. So is a row that is reported twice: a window is given noise
once, and the bytes that came of it are what is sent again. Spec, model, device, cohort, window and that a report was
sent are no part of the promise: windows are cut by the clock and not by rows, and one without rows is reported too. Neither is
how long the drawing takes.

Standard library alone, no rounding anywhere: C. L. Canonne, G. Kamath and T. Steinke, The Discrete Gaussian for Differential
Privacy, NeurIPS 2020, algorithms 1 and 2. Noise from doubles is not private (Mironov 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp, gcd
from random import SystemRandom

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import LIMIT, Profile
from mlpack_edge.profiles.spec import Spec

#: A random integer from 0 to below its argument, each alike.
Below = Callable[[int], int]
#: From the system's secure source. The module `secrets` is the same, and loads 4 MB of OpenSSL that a device has no use for.
SECURE: Below = SystemRandom().randrange
#: Millionths of an epsilon: what a report says its noise in.
MILLION = 10**6
#: Below, noise of hundreds drowns any window; above, e^epsilon beyond 20,000 promises nothing.
LEAST, MOST = MILLION // 100, 10 * MILLION


def with_noise(spec: Spec, profile: Profile, epsilon: int, below: Below = SECURE) -> Profile:
    """What may be sent in place of the profile of one window. epsilon: in millionths.

    `carried` says which feature it is of (1 there, 0 elsewhere); rows, predictions, timed, sums and all other counters are 0.
    Raises BadInput for an epsilon outside LEAST to MOST, a profile that has noise, and a spec without features.
    """
    check_epsilon(epsilon)
    parts = groups(spec)
    features = len(spec.features)
    if profile.epsilon:
        raise BadInput("the profile has noise", "give noise once to each window: a second time takes nothing back")
    if not features:
        raise BadInput("the spec has no feature that a report with noise could be of", "leave --epsilon out")
    chosen = below(features)
    counts = [0] * len(profile.counts)
    for place in range(parts[chosen].start, parts[chosen].stop):
        noisy = profile.counts[place] + discrete_laplace(epsilon, below)
        counts[place] = max(1 - LIMIT, min(LIMIT - 1, noisy))
    return replace(
        profile, rows=0, predictions=0, timed=0, counts=tuple(counts), sums=(0,) * len(profile.sums), epsilon=epsilon,
        carried=tuple(int(place == chosen) for place in range(len(parts))),
    )  # fmt: skip


def check_epsilon(epsilon: int) -> None:
    """Raises BadInput for what is no promise. epsilon: in millionths."""
    if not LEAST <= epsilon <= MOST:
        raise BadInput(
            f"an epsilon of {epsilon / MILLION:g} is refused",
            f"{LEAST / MILLION:g} to {MOST / MILLION:g}; 1 is usual, docs/explanation/privacy.md says what it costs",
            why="below, noise drowns every window; above, the promise is empty",
        )


def variance(epsilon: int) -> float:
    """Of the noise of one counter: 2 q / (1 - q)^2 with q = e^-epsilon. epsilon: in millionths; 0.0 for 0, no noise."""
    if not epsilon:
        return 0.0
    q = exp(-epsilon / MILLION)
    return 2 * q / (1 - q) ** 2


def discrete_laplace(epsilon: int, below: Below) -> int:
    """x with probability (1 - q) / (1 + q) q^|x|, q = e^-epsilon, exactly. epsilon: in millionths (algorithm 2, s/t = epsilon)."""
    common = gcd(epsilon, MILLION)
    s, t = epsilon // common, MILLION // common
    while True:
        low = below(t)
        if not _exponential(low, t, below):
            continue
        high = 0
        while _exponential(1, 1, below):
            high += 1
        size = (low + t * high) // s
        negative = below(2)
        if size or not negative:  # there is one zero
            return -size if negative else size


def _exponential(numerator: int, denominator: int, below: Below) -> bool:
    """True with probability e^-(numerator/denominator), of 0 to 1 (algorithm 1)."""
    tries = 1
    while below(denominator * tries) < numerator:
        tries += 1
    return tries % 2 == 1
