"""How a measurement goes: what the agent on a target is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: A turn of one model, seconds: its caches are warm for most of it, and it is short against the moods of a machine.
TURN_S = 0.02
#: Samples kept of one launch; thinned evenly where a fast model gives more.
MOST_SAMPLES = 5000


@dataclass(frozen=True, slots=True)
class Plan:
    """seconds: of timed calls for each model, all its processes together. least_calls: for each process, unless that
    takes ten times as long. spinning: whether idle threads of ONNX Runtime burn their core. time_limit: seconds for
    one answer (opening, warming up, a turn). memory_bytes: private memory of a process, None for
    80 % of the target's. seed: of the
    random orders.
    """

    processes: int = 5
    seconds: float = 5.0
    threads: int = 1
    spinning: bool = False
    least_calls: int = 10
    time_limit: float = 1800.0
    memory_bytes: int | None = None
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """As the agent takes it, per process."""
        seconds = self.seconds / self.processes
        turn = min(TURN_S, seconds / 4)
        return {
            "processes": self.processes,
            "seconds": seconds,
            "turn": turn,
            "keep": max(1, int(MOST_SAMPLES * turn / seconds)),
            "threads": self.threads,
            "spinning": self.spinning,
            "least_calls": self.least_calls,
            "time_limit": self.time_limit,
            "memory": self.memory_bytes,
            "seed": self.seed,
        }
