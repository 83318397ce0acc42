"""Which worker does which shard next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.batch.engines.schedule import Schedule
from mlpack_edge.batch.plan import Shard, cut_shards


def done_by(schedule: Schedule, workers: list[int]) -> dict[int, list[int]]:
    """Shards by worker, who ask in the order `workers` round after round until nothing is left."""
    done: dict[int, list[int]] = {worker: [] for worker in workers}
    while any(given := [(worker, schedule.next(worker)) for worker in workers]) and any(shard for _, shard in given):
        for worker, shard in given:
            if shard is not None:
                done[worker].append(shard.index)
    return done


def test_shards_of_a_row_group_go_in_order_to_the_worker_that_has_it_open() -> None:
    shards = cut_shards([[1_000_000, 1_000_000]])
    assert done_by(Schedule(shards), [1, 2]) == {1: [0, 1, 2, 3], 2: [4, 5, 6, 7]}


def test_an_idle_worker_takes_the_later_half_of_what_another_has_before_it() -> None:
    shards = cut_shards([[8 << 18]])
    schedule = Schedule(shards)
    assert schedule.next(1) == shards[0]
    assert [schedule.next(2) for _ in range(4)] == [shards[4], shards[5], shards[6], shards[7]]
    assert [schedule.next(2), schedule.next(1), schedule.next(2)] == [shards[2], shards[1], shards[3]]
    assert schedule.next(1) is None


def test_what_a_worker_that_is_gone_had_before_it_is_done_by_others() -> None:
    shards = cut_shards([[4 << 18]])
    schedule = Schedule(shards)
    first = schedule.next(1)
    assert first is not None
    schedule.leave(1)
    schedule.give_back(first)
    assert done_by(schedule, [2]) == {2: [0, 1, 2, 3]}


@given(st.lists(st.integers(1, 900_000), max_size=12), st.integers(1, 5))
def test_every_shard_is_done_once(groups: list[int], workers: int) -> None:
    shards: tuple[Shard, ...] = cut_shards([groups])
    done = done_by(Schedule(shards), list(range(workers)))
    assert sorted(index for mine in done.values() for index in mine) == [shard.index for shard in shards]
