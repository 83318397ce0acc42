"""Turn-taking, with children that answer from a script: who goes on, for how long, and which samples are quiet."""

from __future__ import annotations

import random
from typing import Any

import pytest

from mlpack_edge.devices.targets.agent.frames import Refusal
from mlpack_edge.devices.targets.agent.turns import LEAST_QUIET, OVERRUN, PATIENCE, QUIET, ProbeFloor, take_turns

Json = dict[str, Any]
SECOND = 1_000_000_000
PLAN: Json = {"seconds": 1.0, "turn": 0.1, "keep": 100, "least_calls": 10}


class Scripted:
    """A child that gives `calls` samples a turn of `seconds`; from turn `dies` on it refuses."""

    def __init__(
        self, log: list[str], name: str, calls: int = 5, seconds: float = 0.1, probe: int = 100, dies: int = -1
    ) -> None:
        self.log, self.name, self.calls, self.seconds, self.probe, self.dies = log, name, calls, seconds, probe, dies
        self.turns = 0

    def ask(self, record: Json) -> tuple[Json, bytes]:
        assert record["do"] == "turn"
        self.log.append(self.name)
        self.turns += 1
        if self.turns == self.dies:
            raise Refusal("worker", f"{self.name} ended")
        return {
            "samples_ns": [10] * self.calls, "clean": "1" * self.calls, "probes_ns": [self.probe] * self.calls,
            "spent_ns": int(self.seconds * SECOND),
        }, b""  # fmt: skip


def taken(*children: Scripted, plan: Json = PLAN, floor: ProbeFloor | None = None, seed: int = 0) -> list[Any]:
    alive: Any = {place: (child, {"blocks": []}) for place, child in enumerate(children)}
    faults: list[Any] = [None] * len(children)
    take_turns(alive, plan, random.Random(seed), floor or ProbeFloor(), faults)
    return faults


def disturbed() -> ProbeFloor:
    """A floor that 100 ns is far above."""
    floor = ProbeFloor()
    floor.see({"probes_ns": [50]})
    return floor


def test_a_launch_has_its_seconds_and_no_more_where_nothing_disturbs() -> None:
    log: list[str] = []
    taken(Scripted(log, "a"))
    assert len(log) == 10


def test_a_launch_without_enough_quiet_samples_goes_on_but_not_for_ever() -> None:
    log: list[str] = []
    taken(Scripted(log, "a"), floor=disturbed())
    assert len(log) == PATIENCE * 10


def test_models_go_on_together_for_the_one_that_was_disturbed() -> None:
    log: list[str] = []
    taken(Scripted(log, "quiet", probe=50), Scripted(log, "disturbed"), floor=disturbed())
    assert log.count("quiet") == log.count("disturbed") == PATIENCE * 10


def test_every_model_has_one_turn_in_each_pass_in_changing_order() -> None:
    log: list[str] = []
    taken(*(Scripted(log, name) for name in "abc"))
    passes = [tuple(log[place : place + 3]) for place in range(0, len(log), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in passes)
    assert len(set(passes)) > 1


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    orders = []
    for seed in (1, 1, 2):
        log: list[str] = []
        taken(*(Scripted(log, name) for name in "abcd"), seed=seed)
        orders.append(log)
    assert orders[0] == orders[1] != orders[2]


def test_a_slow_model_goes_on_for_its_least_calls_but_not_for_ever() -> None:
    log: list[str] = []
    taken(Scripted(log, "slow", calls=1, seconds=0.5))
    assert len(log) == PLAN["least_calls"]
    log.clear()
    taken(Scripted(log, "slower", calls=1, seconds=5.0))
    assert len(log) == 3 and (len(log) - 1) * 5.0 < 1 + OVERRUN


def test_a_model_that_fails_leaves_and_the_others_have_all_their_turns() -> None:
    log: list[str] = []
    faults = taken(Scripted(log, "dies", dies=3), Scripted(log, "lives"))
    assert log.count("dies") == 3 and log.count("lives") == 10
    assert faults[0]["message"] == "dies ended" and faults[1] is None


def test_enough_quiet_samples_are_counted_only_where_they_are_clean_too() -> None:
    floor = ProbeFloor()
    block = {"probes_ns": [100, 102, 110, 100], "clean": "1101"}
    floor.see(block)
    assert floor.quiet(block) == "1101"
    assert floor.undisturbed([{"probes_ns": [100, 102, 110, 100], "clean": "0111"}]) == 2


def marked(*probes: int) -> tuple[float, list[Json]]:
    """Launches whose samples all have the same probe, beside a floor of 100 ns."""
    floor = ProbeFloor()
    floor.see({"probes_ns": [100]})
    launches = [{"blocks": [{"probes_ns": [probe] * LEAST_QUIET, "clean": "1" * LEAST_QUIET}]} for probe in probes]
    return floor.mark(launches), launches


def test_the_strictest_bound_that_leaves_enough_launches_enough_samples_counts_for_all() -> None:
    within, launches = marked(100, 102, 103, 105, 130)
    assert within == QUIET[0]
    assert [launch["blocks"][0]["quiet"][0] for launch in launches] == ["1", "1", "1", "0", "0"]
    within, launches = marked(100, 101, 105, 105, 130)
    assert within == QUIET[1]
    assert [launch["blocks"][0]["quiet"][0] for launch in launches] == ["1", "1", "1", "1", "0"]
    assert marked(100, 111, 111, 111, 130)[0] == marked(130, 130)[0] == QUIET[-1]
    assert all("probes_ns" not in launch["blocks"][0] for launch in launches)


@pytest.mark.parametrize("turns", [1, 20, 1000])
def test_the_floor_of_the_probe_is_near_its_fastest(turns: int) -> None:
    draw = random.Random(turns)
    floor = ProbeFloor()
    fastest = [1000 + draw.randrange(1000) for _ in range(turns)]
    for one in fastest:
        floor.see({"probes_ns": [one, one + 500]})
    assert min(fastest) <= floor.ns() <= min(fastest) + 100 or turns == 1
    assert sum(one < floor.ns() for one in fastest) <= turns / 100
