"""Takes turns among the models of a round, and knows which samples nothing disturbed.

A call without a context switch can still be slow: where a core's other hardware thread, or another guest of the same
host, has work, everything on the core takes 10 to 25 % longer, for milliseconds or for minutes, and no counter of the
kernel shows it. A probe does (`processor_probe`): fixed work that takes the same time whenever the core is left alone.
A sample is quiet where the probes before and after it took at most 3 % more than undisturbed ones do; where too few
samples are, 6 or 12 %, for all models alike, and the result says which.
"""

from __future__ import annotations

import random
from typing import Dict, List, Optional, Tuple

from mlpack_edge.devices.targets.agent.frames import Json, Refusal
from mlpack_edge.devices.targets.agent.process import Child

#: Of the probe's time on an undisturbed core. Fixed work varies by 1 to 2 % there.
QUIET = (1.03, 1.06, 1.12)
#: A launch goes on until it has so many samples that are quiet by the first and clean, up to so many times its seconds.
LEAST_QUIET = 20
PATIENCE = 4
#: What the samples are marked by: the first that leaves so many in this share of launches. A few that were undisturbed
#: repeat better than many that were not quite.
ENOUGH, ENOUGH_LAUNCHES = 10, 0.6
#: Where one call is longer than a launch should take: how often the wanted seconds may be overrun for its least calls.
OVERRUN = 10
Alive = Dict[int, Tuple[Child, Json]]


class ProbeFloor:
    """How long the probe takes on an undisturbed core: the 1 % quantile of each turn's fastest, so that in long
    measurements no single one sets it. Known ever better as the measurement goes on.
    """

    def __init__(self) -> None:
        self._fastest: List[int] = []

    def see(self, block: Json) -> None:
        self._fastest.append(min(block["probes_ns"]))

    def ns(self) -> int:
        return sorted(self._fastest)[len(self._fastest) // 100]

    def quiet(self, block: Json, within: float = QUIET[0]) -> str:
        """A character for each sample of a turn: 1 where it is quiet."""
        most = within * self.ns()
        return "".join("1" if probe <= most else "0" for probe in block["probes_ns"])

    def undisturbed(self, blocks: List[Json], within: float = QUIET[0]) -> int:
        """How many samples of some turns are quiet and clean."""
        return sum(
            one == other == "1" for block in blocks for one, other in zip(self.quiet(block, within), block["clean"])
        )

    def mark(self, launches: List[Json]) -> float:
        """Put `quiet` into the blocks of all launches, in place of their probes: by which of QUIET."""
        for within in QUIET:
            enough = sum(self.undisturbed(launch["blocks"], within) >= ENOUGH for launch in launches)
            if enough >= ENOUGH_LAUNCHES * len(launches):
                break
        for block in (block for launch in launches for block in launch["blocks"]):
            block["quiet"] = self.quiet(block, within)
            del block["probes_ns"]
        return within


def take_turns(
    alive: Alive, plan: Json, order: random.Random, floor: ProbeFloor, faults: List[Optional[Json]]
) -> None:  # fmt: skip
    """Turn by turn in random order until every model has had its seconds, its least calls, and its undisturbed samples.

    Models go on together for the last, so that blocks of the same number met the same load. One that fails leaves
    `alive`, with its reason in `faults`.
    """
    wanted = plan["seconds"] * 1e9
    spent = dict.fromkeys(alive, 0.0)

    def must(place: int) -> bool:
        calls: int = sum(len(block["samples_ns"]) for block in alive[place][1]["blocks"])
        few: bool = calls < plan["least_calls"] and spent[place] < (1 + OVERRUN) * wanted
        return few or spent[place] < wanted

    def disturbed(place: int) -> bool:
        return spent[place] < PATIENCE * wanted and floor.undisturbed(alive[place][1]["blocks"]) < LEAST_QUIET

    while True:
        turn = [place for place in alive if must(place)]
        if not turn and any(disturbed(place) for place in alive):
            turn = list(alive)
        if not turn:
            return
        order.shuffle(turn)
        for place in turn:
            child, launch = alive[place]
            try:
                block = child.ask({"do": "turn", "seconds": plan["turn"], "keep": plan["keep"]})[0]
            except Refusal as refusal:
                faults[place] = refusal.record
                del alive[place]
                continue
            launch["blocks"].append(block)
            floor.see(block)
            spent[place] += block.pop("spent_ns")
