"""What registers under `mlpack_edge.targets`: a place where a model file is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, MlpackError
from mlpack_edge.core.extensions import TARGETS, extensions
from mlpack_edge.runtimes.measuring.plan import Plan
from mlpack_edge.runtimes.measuring.prepared import PreparedModel
from mlpack_edge.runtimes.measuring.result import BenchResult

Array = NDArray[Any]
Json = dict[str, Any]


def _silent(stage: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """python: the program that is Python on a target that is another machine. benchmark_model: the tool that runs
    TFLite files on Android. vela: the command of Arm's compiler, None for the one installed. time_limit: seconds for a target
    to answer at all. stage: told what is being done.
    """

    python: str = "python3"
    benchmark_model: Path | None = None
    vela: Path | None = None
    time_limit: float = 60.0
    stage: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True)
class Refused:
    """A model that the target could not run, while it ran the others."""

    model: str
    error: MlpackError


class Target(Protocol):
    """Registered under its scheme as a class taking the address (all after the first colon) and the options.

    gives: what may be asked of it, of "time", "instructions", "estimate", "outputs" and "profile"; asking for
    anything else raises Unsupported. Everything that it put on the target is gone after `close`, also after a failure.
    """

    gives: frozenset[str]
    #: As the user names it: "local", "ssh://pi@rack", "emulated:pi4".
    name: str

    def __init__(self, address: str, options: TargetOptions) -> None: ...

    def describe(self) -> Json:
        """{environment, runtimes {name: version|null}, python}: what is there now. Raises MlpackError where nothing answers."""
        ...

    def bench(self, models: Sequence[PreparedModel], plan: Plan) -> list[BenchResult | Refused]:
        """Time, instructions or an estimate, whichever the target gives: one item a model, in their order.

        Raises MlpackError where the target itself fails; a model that fails is a Refused among the results.
        """
        ...

    def profile(self, model: PreparedModel, plan: Plan) -> list[Json]:
        """[{name, op, calls, ns, share, method}] of a pass of its own, the longest first; calls, ns and share are None, with
        `why`, of an operator that could not be timed.
        """
        ...

    def outputs(self, model: PreparedModel, plan: Plan) -> list[Mapping[str, Array]]:
        """What the model gives for each of its sets of inputs: by name for ONNX, by place for TFLite."""
        ...

    def close(self) -> None: ...


def open_target(text: str, options: TargetOptions) -> Target:
    """The target that `local`, `ssh://USER@HOST`, `adb:SERIAL` or `emulated:PROFILE` names; nothing is contacted yet.

    Raises BadInput for a scheme that nothing is registered for, and for an address that the target does not take.
    """
    scheme, _, address = text.partition(":")
    found = extensions(TARGETS).get(scheme)
    if found is None:
        raise BadInput(
            f"{text!r} is no target",
            "mlpack target list shows them: local, ssh://USER@HOST, adb:SERIAL, emulated:pi4",
        )
    target: Target = found.load()(address, options)
    return target
