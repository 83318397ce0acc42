"""Verdicts on models whose true times are known, on simulated machines: how often they are right.

Every trial is seeded: a rule that changes either keeps these shares or fails.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mlpack_edge.runtimes.measuring.comparison import compare
from tests.runtimes.measuring.simulated import BUSY, QUIET, SWAMPED, Load, side_by_side

pytestmark = pytest.mark.long
TRIALS = 100


def _verdicts(slower: float, load: Load, *, paired: bool = True, rounds: int = 5, trials: int = TRIALS) -> Counter[str]:
    """Of a model of 2.4 ms and one `slower` times that. Unpaired: the second in another run, under twice the load."""
    found: Counter[str] = Counter()
    for seed in range(trials):
        draw = np.random.default_rng([seed, rounds])
        a, b = side_by_side(draw, (2.4e6, 2.4e6 * slower), load, rounds)
        if not paired:
            b = side_by_side(draw, (2.4e6, 2.4e6 * slower), replace(load, slow=2 * load.slow), rounds)[1]
        found[compare(a, b, paired=paired).verdict] += 1
    return found


@pytest.mark.parametrize("load", [QUIET, BUSY, SWAMPED], ids=["quiet", "busy", "swamped"])
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])
def test_a_model_does_not_differ_from_itself(load: Load, paired: bool) -> None:
    """And is found to be the same, not merely unclear, where the clean samples decide."""
    found = _verdicts(1.0, load, paired=paired)
    assert found["no difference"] + found["unclear"] >= 98
    assert (found["no difference"] == 0) if load is SWAMPED else (found["no difference"] >= 90)


@pytest.mark.parametrize("load", [QUIET, BUSY], ids=["quiet", "busy"])
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])
def test_ten_percent_is_found(load: Load, paired: bool) -> None:
    assert _verdicts(1.1, load, paired=paired)["slower"] >= 90


@pytest.mark.parametrize("load", [BUSY, SWAMPED], ids=["busy", "swamped"])
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])
def test_one_percent_is_not_worth_a_verdict(load: Load, paired: bool) -> None:
    assert _verdicts(1.01, load, paired=paired)["slower"] <= 5


@pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])
def test_twice_the_time_is_found_even_where_hardly_a_sample_is_clean(paired: bool) -> None:
    assert _verdicts(2.0, SWAMPED, paired=paired)["slower"] >= 90


@pytest.mark.parametrize("rounds", [2, 3])
def test_few_processes_make_a_verdict_unclear_not_wrong(rounds: int) -> None:
    assert _verdicts(1.0, BUSY, rounds=rounds).keys() <= {"no difference", "unclear"}
    assert _verdicts(1.1, BUSY, rounds=rounds)["slower"] >= 90


def test_a_process_that_is_unlike_the_others_widens_the_interval() -> None:
    """A bias of 3 % from process to process: two runs of the same model are not told apart."""
    found = _verdicts(1.0, replace(QUIET, bias=0.03), paired=False)
    assert found["slower"] + found["faster"] <= 5
    assert found["no difference"] <= 5
