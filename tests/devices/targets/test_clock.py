"""The clock of the agent: what a sample is, which samples are clean, when a turn and the warm-up end.

Durations are held against each other only, never against a number of seconds that a slow machine would miss.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np
import pytest

from mlpack_edge.devices.targets.agent import clock as parts
from mlpack_edge.devices.targets.agent.clock import Clock

#: Long enough that nothing else in the loop takes as long.
LONG_S = 0.02


def busy(seconds: float) -> Callable[[], None]:
    def call() -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass

    return call


def sleep() -> None:
    time.sleep(0.002)


def ticks() -> tuple[list[int], Callable[[], None]]:
    """(how often it was called, in one number, a call that counts)."""
    times = [0]

    def call() -> None:
        times[0] += 1

    return times, call


def test_a_sample_is_the_duration_of_the_call_without_what_comes_before_it() -> None:
    began: list[int] = []
    inside: list[int] = []

    def ready() -> None:
        busy(LONG_S)()
        began.append(time.perf_counter_ns())

    def call() -> None:
        start = time.perf_counter_ns()
        busy(LONG_S / 10)()
        inside.append(time.perf_counter_ns() - start)

    clock = Clock([(ready, call)], 1)
    clock.warm_up()
    done = len(inside)
    samples = clock.turn(8 * LONG_S, 1000)["samples_ns"]
    own = inside[done:][-len(samples) :]
    assert len(samples) >= 1
    # At least what the call itself saw, and in the middle far less than with what comes before it.
    assert all(sample >= one for sample, one in zip(samples, own, strict=True))
    assert np.median(samples) < np.median(own) + LONG_S * 1e9 / 2


def test_a_call_that_gives_the_processor_away_is_not_clean() -> None:
    clock = Clock([(None, sleep)], 1)
    clock.warm_up()
    assert set(clock.turn(0.05, 1000)["clean"]) == {"0"}


def test_calls_that_keep_the_processor_are_clean_more_often_than_not() -> None:
    """A processor is lost thousands of times a second at most; calls without any work are far more."""
    _, call = ticks()
    clock = Clock([(None, call)], 1)
    clock.warm_up()
    clean = clock.turn(0.05, 1_000_000)["clean"]
    assert clean.count("1") > clean.count("0")


def test_only_the_switch_during_a_call_counts_not_one_before_it() -> None:
    _, call = ticks()
    clock = Clock([(sleep, call)], 1)
    clock.warm_up()
    clean = "".join(clock.turn(0.05, 1000)["clean"] for _ in range(3))
    assert clean.count("1") > clean.count("0")


def test_with_several_threads_switches_of_ones_own_will_are_clean() -> None:
    """Threads of a runtime wait for each other at the end of each operator."""
    clock = Clock([(None, sleep)], 2)
    clock.warm_up()
    assert "1" in clock.turn(0.1, 1000)["clean"]


def test_with_several_threads_a_switch_against_another_thread_counts() -> None:
    """More threads than processors that all want one: somebody is switched against their will."""
    threads = 4 * (os.cpu_count() or 1)

    def call() -> None:
        works = [threading.Thread(target=lambda: np.ones((300, 300)) @ np.ones((300, 300))) for _ in range(threads)]
        until = time.perf_counter() + 5 * LONG_S
        for work in works:
            work.start()
        while time.perf_counter() < until:
            np.ones((300, 300)) @ np.ones((300, 300))
        for work in works:
            work.join()

    clock = Clock([(None, call)], 2)
    clock.warm_up()
    assert "0" in "".join(clock.turn(0.01, 1000)["clean"] for _ in range(10))


def test_a_turn_is_never_shorter_than_one_call() -> None:
    clock = Clock([(None, busy(LONG_S))], 1)
    clock.warm_up()
    found = clock.turn(LONG_S / 100, 1000)
    assert len(found["samples_ns"]) == len(found["clean"]) == len(found["probes_ns"]) == 1
    assert found["spent_ns"] >= found["samples_ns"][0]


def test_a_turn_of_short_calls_takes_at_least_its_seconds() -> None:
    _, call = ticks()
    clock = Clock([(None, call)], 1)
    clock.warm_up()
    assert clock.turn(0.03, 10)["spent_ns"] >= 0.03e9


def test_the_first_part_of_a_turn_of_short_calls_is_not_counted() -> None:
    times, call = ticks()
    clock = Clock([(None, call)], 1)
    clock.warm_up()
    before = times[0]
    samples = clock.turn(0.05, 1_000_000)["samples_ns"]
    assert len(samples) < times[0] - before


def test_a_long_call_is_not_made_twice_for_one_sample() -> None:
    times, tick = ticks()
    work = busy(LONG_S)
    clock = Clock([(None, lambda: (tick(), work()))], 1)  # type: ignore[func-returns-value]
    clock.warm_up()
    before = times[0]
    assert len(clock.turn(LONG_S, 1000)["samples_ns"]) == times[0] - before


def test_sets_of_inputs_are_called_in_turn_across_turns() -> None:
    order: list[int] = []
    clock = Clock([(None, lambda place=place: order.append(place)) for place in range(3)], 1)  # type: ignore[misc]
    clock.warm_up()
    clock.turn(0.01, 10)
    clock.turn(0.01, 10)
    assert order == [place % 3 for place in range(len(order))]


def test_each_set_of_inputs_is_made_ready_before_its_own_call() -> None:
    held: list[int] = [-1]
    seen: list[tuple[int, int]] = []
    steps: list[parts.Step] = [
        (lambda place=place: held.__setitem__(0, place), lambda place=place: seen.append((place, held[0])))  # type: ignore[misc]
        for place in range(3)
    ]
    clock = Clock(steps, 1)
    clock.warm_up()
    assert seen and all(place == ready for place, ready in seen)


def test_thinning_keeps_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept are samples evenly spread over the turn, each with its own flag and its own probe."""
    _, call = ticks()
    clock = Clock([(None, call)], 1)
    clock.warm_up()
    samples = list(range(1, 100_001))
    run = ([*samples], [sample % 2 == 0 for sample in samples], [-sample for sample in samples])
    monkeypatch.setattr(clock, "_run", lambda seconds, least: run)
    found = clock.turn(0.01, 999)
    assert len(found["samples_ns"]) == len(found["clean"]) == len(found["probes_ns"]) == 999
    assert np.allclose(
        np.quantile(found["samples_ns"], [0, 0.1, 0.5, 0.9, 1]), np.quantile(samples, [0, 0.1, 0.5, 0.9, 1]), atol=102
    )
    assert found["probes_ns"] == [-sample for sample in found["samples_ns"]]
    assert found["clean"] == "".join(str(1 - sample % 2) for sample in found["samples_ns"])


def test_no_more_samples_are_kept_than_asked_and_all_where_there_are_fewer() -> None:
    _, call = ticks()
    clock = Clock([(None, call)], 1)
    clock.warm_up()
    assert len(clock.turn(0.02, 7)["samples_ns"]) == 7
    slow = Clock([(None, busy(0.005))], 1)
    slow.warm_up()
    assert 1 <= len(slow.turn(0.02, 1000)["samples_ns"]) <= 4


def scripted(monkeypatch: pytest.MonkeyPatch, medians: Iterator[int], window: int = 5) -> Clock:
    """A clock whose windows of calls have these medians."""
    clock = Clock([(None, int)], 1)
    monkeypatch.setattr(clock, "_run", lambda seconds, least: ([next(medians)] * window, [True] * window, [1] * window))
    return clock


def test_the_warm_up_ends_settled_once_a_window_is_as_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = scripted(monkeypatch, iter([9000, 3000, 1500, 1100, 1050, 1040, 1040]))
    assert clock.warm_up() == (6 * 5, True)


def test_the_warm_up_does_not_end_on_fewer_than_15_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scripted(monkeypatch, iter([1000] * 20), window=2).warm_up() == (16, True)


def test_the_warm_up_ends_unsettled_where_calls_never_take_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "WARM_UP_S", 0.05)
    calls, settled = scripted(monkeypatch, cycle([1000, 1100, 1210])).warm_up()
    assert not settled and calls >= 5


def test_a_sample_has_the_slower_of_the_probes_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short calls share probes; the one after a group belongs to the next group as well."""
    numbers = iter(range(100, 1_000_000))
    clock = Clock([(None, busy(0.001))], 1)
    clock.warm_up()
    monkeypatch.setattr(clock, "_probe", lambda: next(numbers))
    probes = clock.turn(0.03, 1000)["probes_ns"]
    assert probes == sorted(probes) and len(set(probes)) > 1
    falling = iter(range(1_000_000, 0, -1))
    monkeypatch.setattr(clock, "_probe", lambda: next(falling))
    probes = clock.turn(0.03, 1000)["probes_ns"]
    assert probes == sorted(probes, reverse=True)


def test_the_probe_takes_time_and_mostly_the_same() -> None:
    probe = parts.processor_probe()
    taken = [probe() for _ in range(200)]
    assert min(taken) > 0
    assert np.median(taken) < 100 * min(taken)
