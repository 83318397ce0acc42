"""Quiet samples: clean ones beside which a probe found the core undisturbed. Where there are enough, they alone speak."""

from __future__ import annotations

import numpy as np
import pytest

from mlpack_edge.runtimes.measuring.comparison import compare
from mlpack_edge.runtimes.measuring.result import (
    QUIET_LAUNCHES,
    QUIET_SAMPLES,
    BenchResult,
    Launch,
)
from mlpack_edge.runtimes.measuring.stored import result_from_json
from tests.runtimes.measuring.simulated import launch, result


def half_disturbed(quiet_ns: float, round: int, quiet: int = 60, disturbed: int = 140, seed: int = 0) -> Launch:
    """Quiet calls of about `quiet_ns`, and others, as clean, that a neighbour makes 10 to 25 % longer."""
    draw = np.random.default_rng([seed, round])
    slow = 1 + draw.uniform(0.1, 0.25)  # the neighbour's doing, other in each process
    times = np.concatenate([quiet_ns * draw.normal(1, 0.003, quiet), quiet_ns * slow * draw.normal(1, 0.03, disturbed)])
    flags = np.arange(times.size) < quiet
    order = draw.permutation(times.size)
    made = launch([times[order]], number=round)
    return Launch(
        made.blocks_ns, made.clean, made.load_ns, made.first_call_ns, made.peak_rss_bytes, made.warm_up_calls, made.settled,
        made.round, (flags[order],),
    )  # fmt: skip


def model(quiet_ns: float, seed: int = 0, quiet: int = 60, launches: int = 5) -> BenchResult:
    return result([half_disturbed(quiet_ns, number, quiet, seed=seed) for number in range(launches)])


def test_the_isolated_median_is_that_of_the_quiet_samples() -> None:
    found = model(400_000)
    record = found.to_json()
    assert (found.isolation, record["isolated_by"]) == ("quiet", "quiet")
    assert record["isolated_ns"]["p50"] == pytest.approx(400_000, rel=0.003)
    assert record["ci95_ns"][0] <= 400_000 * 1.003 and record["ci95_ns"][1] < 405_000
    assert record["clean_share"] == 1.0
    assert record["quiet_share"] == pytest.approx(0.3)


def test_a_quiet_sample_during_which_the_processor_was_lost_does_not_count() -> None:
    one = half_disturbed(1000, 0)
    assert one.quiet is not None
    switched = Launch(
        one.blocks_ns, tuple(~quiet for quiet in one.quiet), 1, 1, 1, 1, True, 0, one.quiet
    )  # fmt: skip
    assert sum(block.size for block in switched.blocks("quiet")) == 0


@pytest.mark.parametrize(("launches", "by"), [(QUIET_LAUNCHES, "quiet"), (QUIET_LAUNCHES - 1, "clean")])
def test_too_few_launches_with_quiet_samples_leave_the_clean_ones(launches: int, by: str) -> None:
    enough = [half_disturbed(1000, number, QUIET_SAMPLES) for number in range(launches)]
    few = [half_disturbed(1000, number, QUIET_SAMPLES - 1) for number in range(launches, 6)]
    assert result([*enough, *few]).isolation == by


def test_without_a_probe_the_clean_ones_speak() -> None:
    found = result([launch([[5, 6, 7]], number=number) for number in range(5)])
    assert (found.isolation, found.quiet_share) == ("clean", None)
    assert found.to_json()["isolated_ns"]["p50"] == 6


def test_a_comparison_sees_through_neighbours_that_differ_between_processes() -> None:
    a, same, slower = model(400_000, 1), model(400_000, 2), model(440_000, 3)
    assert compare(a, same, paired=True).verdict == "no difference"
    assert compare(a, slower, paired=True).verdict == "slower"
    without = [result([_forget(one) for one in each.launches]) for each in (a, same)]
    assert compare(without[0], without[1], paired=True).verdict == "unclear"


def test_models_are_never_compared_by_samples_of_different_kinds() -> None:
    """One has quiet samples, the other too few: of both the clean ones count, and the neighbours are in both."""
    a, b = model(400_000, 1), model(400_000, 2, quiet=QUIET_SAMPLES - 1)
    mixed, clean = compare(a, b, paired=True), compare(*(result([_forget(one) for one in each.launches]) for each in (a, b)), paired=True)  # fmt: skip
    assert (mixed.ratio, mixed.ci95) == (clean.ratio, clean.ci95)


def test_quiet_flags_survive_a_file_and_old_files_have_none() -> None:
    found = model(1000)
    record = found.to_json()
    back = result_from_json(record)
    assert [one.quiet[0].tolist() for one in back.launches if one.quiet] == [
        one.quiet[0].tolist() for one in found.launches if one.quiet
    ]
    assert back.to_json() == record
    for each in record["launches"]:
        del each["blocks"][0]["quiet"]
    assert all(one.quiet is None for one in result_from_json(record).launches)


def test_flags_of_another_shape_are_refused() -> None:
    one = half_disturbed(1000, 0)
    with pytest.raises(ValueError, match="differ in shape"):
        Launch(one.blocks_ns, one.clean, 1, 1, 1, 1, True, 0, (np.ones(3, bool),))


def _forget(one: Launch) -> Launch:
    return Launch(one.blocks_ns, one.clean, one.load_ns, one.first_call_ns, 1, 1, True, one.round)
