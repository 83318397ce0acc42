"""Times of operators cut out into models of their own (runtimes/litert/cut_out.py makes them)."""

from __future__ import annotations

from typing import Any, List, Tuple

from mlpack_edge.devices.targets.agent.arrays import unpacked
from mlpack_edge.devices.targets.agent.frames import Json
from mlpack_edge.devices.targets.agent.models import tflite_library
from mlpack_edge.devices.targets.agent.profile_table import Stopwatch


def time_cut_outs(
    interpreter: Any, models: List[Tuple[bytes, List[Any]]], threads: int, seconds: float = 0.03
) -> List[Json]:
    """Time many small models by turns: [{"ns": middle of the calls | None, "why"}]. interpreter: the class, of LiteRT or
    tflite-runtime; feeds are in the order of each model's inputs. Two rounds, so that no model meets one mood alone.
    """
    watches: List[Any] = []
    for content, feeds in models:
        try:
            opened = interpreter(model_content=content, num_threads=threads)
            opened.allocate_tensors()
            for found, array in zip(opened.get_input_details(), feeds):
                opened.set_tensor(found["index"], array)
            opened.invoke()
        except (RuntimeError, ValueError) as fault:  # what TFLite raises where an operator alone does not run
            watches.append(str(fault))
            continue
        watches.append(Stopwatch(opened.invoke))
    for _ in range(2):
        for watch in watches:
            if isinstance(watch, Stopwatch):
                watch.block(5, 100_000, seconds)
    return [
        {"ns": None, "why": watch[:300]} if isinstance(watch, str) else {"ns": watch.middle_ns(), "why": ""}
        for watch in watches
    ]


def told_cut_outs(job: Json) -> Json:
    """{timed} for a job of {feeds, threads}: its file of arrays has a set a model, its bytes as "model" and its inputs
    by place.
    """
    with open(job["feeds"], "rb") as stream:
        sets = unpacked(stream.read())
    _, interpreter = tflite_library()
    models = [(one["model"].tobytes(), [one[str(place)] for place in range(len(one) - 1)]) for one in sets]
    return {"timed": time_cut_outs(interpreter, models, job["threads"])}
