"""What an agent answers, read with care: it may be damaged on the way, of another version, or no agent of ours at all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mlpack_edge.core.errors import BadInput, MlpackError, WorkerFault, error_from_json
from mlpack_edge.devices.targets.agent.arrays import unpacked
from mlpack_edge.runtimes.measuring.fields import Fields
from mlpack_edge.runtimes.measuring.result import DIFFERS, Launch
from mlpack_edge.runtimes.measuring.stored import launch_from_json

Array = NDArray[Any]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one model. runtime: name and version. output_digest: that of all launches, or that it differs between them."""

    launches: tuple[Launch, ...]
    io: str
    runtime: Json
    output_digest: str


def error_from_answer(record: Any) -> MlpackError | None:
    """The error that a record {kind, message, why, hint} of texts tells, None where it is no such record."""
    if not isinstance(record, dict):
        return None
    texts = {name: record.get(name, "") for name in ("kind", "message", "why", "hint")}
    if not all(isinstance(text, str) for text in texts.values()):
        return None
    return error_from_json({"data": {}, **texts})


def hello_from_answer(answer: Json, target: str) -> Json:
    """The answer to "hello", as it came. Raises WorkerFault where what we read of it is not there, or of another type."""
    with _known(target):
        fields = Fields(answer, "hello")
        fields.text("python")
        fields.required("runtimes", dict)
        _check_environment(fields.required("environment", dict))
    return answer


def measured_from_answer(answer: Json, models: int, target: str) -> tuple[list[Measured | MlpackError], Json, Json]:
    """(what there is of each of so many models, floors [ns] by format and io, the environment), from that to "measure".

    Raises WorkerFault where it is in no known form.
    """
    with _known(target):
        fields = Fields(answer, "measure")
        launches, faults = fields.required("launches", list), fields.required("faults", list)
        if not len(launches) == len(faults) == models:
            raise BadInput(f"{models} models were measured, {len(launches)} are in the answer")
        found = [_measured(own, fault) for own, fault in zip(launches, faults, strict=True)]
        floors = Fields(fields.required("floors", dict), "floors")
        known = {name: floors.number_or_none(name) for name in answer["floors"]}
        environment: Json = fields.required("environment", dict)
        _check_environment(environment)
    return found, known, environment


def counted_from_answer(answer: Json, target: str) -> tuple[int, Measured]:
    """(how many regions were marked, what is told beside them), from that to "count". Raises WorkerFault."""
    with _known(target):
        fields = Fields(answer, "count")
        told = Measured((), fields.text("io"), _runtime(fields), fields.text("output_digest"))
        return len(fields.required("regions", list)), told


def sets_from_answer(block: bytes, target: str) -> list[dict[str, Array]]:
    """The arrays that an agent sent. Raises WorkerFault where they are no arrays."""
    try:
        return unpacked(block)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError, RecursionError) as fault:
        raise _unknown(target, f"its arrays cannot be read: {type(fault).__name__}") from fault


def rows_from_answer(answer: Json, name: str, target: str) -> list[Json]:
    """The list of records `name` of an answer. Raises WorkerFault where there is none."""
    rows = answer.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _unknown(target, f"there is no list {name!r} in it")
    return rows


def _measured(launches: Any, fault: Any) -> Measured | MlpackError:
    if fault is not None:
        told = error_from_answer(fault)
        if told is None:
            raise BadInput("a fault is no error")
        return told
    if not isinstance(launches, list) or not launches:
        raise BadInput("a model has neither launches nor a fault")
    first = Fields(launches[0], "launch 0")
    digests = {Fields(launch, "a launch").text("output_digest") for launch in launches}
    return Measured(
        tuple(launch_from_json(launch, f"launch {number}") for number, launch in enumerate(launches)),
        first.text("io"), _runtime(first),
        digests.pop() if len(digests) == 1 else DIFFERS,
    )  # fmt: skip


def _runtime(fields: Fields) -> Json:
    told = fields.required("runtime", list)
    if len(told) != 2 or not all(isinstance(part, str) for part in told):
        raise BadInput(f"the runtime is {told!r:.100}")
    return {"name": told[0], "version": told[1]}


def _check_environment(environment: Json) -> None:
    """Lists are read by place; what else is in it is shown as it is, and may be anything that JSON has."""
    for name, count in (("load", 3), ("steal", 2)):
        found = environment.get(name)
        if found is not None and not (isinstance(found, list) and len(found) == count and all(map(_is_number, found))):
            raise BadInput(f"the environment's {name} is {found!r:.100}")
    features = environment.get("features")
    if features is not None and not (isinstance(features, list) and all(isinstance(one, str) for one in features)):
        raise BadInput(f"the environment's features are {features!r:.100}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@contextmanager
def _known(target: str) -> Iterator[None]:
    try:
        yield
    except BadInput as fault:
        raise _unknown(target, fault.message) from fault


def _unknown(target: str, why: str) -> WorkerFault:
    return WorkerFault(
        f"{target} answered in no form known here",
        "start it again; if it stays so, see what else answers there: mlpack target check", why=why,
    )  # fmt: skip
