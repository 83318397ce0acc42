"""Results as a shared machine gives them, from a seed: for the rules of measuring, which see no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpack_edge.runtimes.measuring.result import BenchResult, Launch

MACHINE: dict[str, Any] = {
    "cpu": "Cortex-A72",
    "arch": "aarch64",
    "emulated": None,
    "machine_id": "8f1e",
    "governor": "ondemand",
    "kernel": "6.6",
    "python": "3.11.7",
    "runtime": {"name": "onnxruntime", "version": "1.31.1"},
}


@dataclass(frozen=True)
class Load:
    """Contention comes in bursts. hit: the share of calls in one; length: of a burst, in calls; slow: the mean factor
    of a call that is hit, less one. Neighbours of a burst find cold caches and are slower by `cold`, yet clean."""

    hit: float = 0.6
    length: float = 12.0
    slow: float = 4.0
    cold: float = 0.01
    bias: float = 0.002
    jitter: float = 0.005
    rho: float = 0.9


BUSY = Load()
SWAMPED = Load(hit=0.95, length=120.0)
QUIET = Load(hit=0.02)


def result(launches: list[Launch] | tuple[Launch, ...] = (), **fields: Any) -> BenchResult:
    known: dict[str, Any] = {
        "model": "net.onnx",
        "format": "onnx",
        "model_sha256": "ab" * 32,
        "bytes": 1234,
        "target": "local",
        "threads": 1,
        "batch": 1,
        "harness_floor_ns": 2470.0,
        "environment": dict(MACHINE),
        "input_digest": "cd" * 32,
        "output_digest": "ef" * 32,
        "io": "binding",
    }
    return BenchResult(**{**known, **fields}, launches=tuple(launches))


def launch(blocks: list[Any], clean: list[Any] | None = None, number: int = 0, settled: bool = True) -> Launch:
    samples = tuple(np.asarray(block, np.uint64) for block in blocks)
    flags = [np.ones(block.shape, bool) for block in samples] if clean is None else clean
    return Launch(
        samples, tuple(np.asarray(one, bool) for one in flags), 9_000_000, 50_000_000, 2**26, 50, settled, number
    )


def side_by_side(
    draw: np.random.Generator,
    times_ns: tuple[float, ...],
    load: Load = BUSY,
    rounds: int = 5,
    turns: int = 50,
    calls: int = 20,
) -> list[BenchResult]:
    """One result per time, of models that took turns in random order within each round."""
    models = len(times_ns)
    length = models * turns * calls
    busy = _bursts(draw, load, rounds, length)
    cold = (np.roll(busy, 1, axis=1) | np.roll(busy, -1, axis=1)) & ~busy
    noise = _correlated(draw, load, rounds, length)
    factor = 1 + noise + load.cold * cold + busy * draw.exponential(load.slow, (rounds, length))
    shaped = (factor.reshape(rounds, turns, models, calls), ~busy.reshape(rounds, turns, models, calls))
    order = draw.permuted(np.broadcast_to(np.arange(models), (rounds, turns, models)), axis=2)
    found = []
    for model, time in enumerate(times_ns):
        slot = (order == model).argmax(axis=2)[:, :, None, None]
        mine, clean = (np.take_along_axis(one, slot, axis=2)[:, :, 0] for one in shaped)
        bias = 1 + draw.normal(0, load.bias, (rounds, 1, 1))
        samples = np.maximum(mine * bias * time, 1).astype(np.uint64)
        launches = [launch(list(samples[one]), list(clean[one]), one) for one in range(rounds)]
        found.append(result(launches, model=f"net-{model}.onnx"))
    return found


def _bursts(draw: np.random.Generator, load: Load, rounds: int, length: int) -> NDArray[np.bool_]:
    """Two states; leaves a burst with 1 / length, enters one so often that `hit` of the calls are in one."""
    leave = 1 / load.length
    enter = leave * load.hit / (1 - load.hit)
    state = draw.random(rounds) < load.hit
    found = np.empty((rounds, length), bool)
    for one, chance in enumerate(draw.random((length, rounds))):
        state = np.where(state, chance >= leave, chance < enter)
        found[:, one] = state
    return found


def _correlated(draw: np.random.Generator, load: Load, rounds: int, length: int) -> NDArray[np.float64]:
    """An autoregression of order 1 with standard deviation `jitter`."""
    fresh = draw.normal(0, load.jitter * np.sqrt(1 - load.rho**2), (length, rounds))
    state = draw.normal(0, load.jitter, rounds)
    found = np.empty((rounds, length))
    for one, shock in enumerate(fresh):
        state = load.rho * state + shock
        found[:, one] = state
    return found
