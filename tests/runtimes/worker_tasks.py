"""What the worker tests run in a child process."""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput, CheckFailed
from mlpack_edge.runtimes.shortage import refuse_lack_of_memory

Json = dict[str, Any]


def echo(payload: Json, stage: Any) -> Json:
    print("noise on standard output")
    stage("echoing")
    return {"got": payload, "cwd_on_path": any(Path(path).resolve() == Path.cwd() for path in sys.path)}


def refuse(payload: Json, stage: Any) -> Json:
    raise BadInput("no", "do this", why="that", place=3)


def crash(payload: Json, stage: Any) -> Json:
    stage("reading byte 7")
    ctypes.string_at(0)
    return {}


def hang(payload: Json, stage: Any) -> Json:
    stage("waiting")
    time.sleep(600)
    return {}


def eat(payload: Json, stage: Any) -> Json:
    blocks = []
    while True:
        blocks.append(bytearray(1 << 26))


def run_out(payload: Json, stage: Any) -> Json:
    """What a runtime stops with that finds no memory."""
    if payload["how"] == "stopped":
        raise CheckFailed("ONNX Runtime stopped on inputs of [9]", "report it", why=payload["said"])
    refuse_lack_of_memory(payload["said"])
    raise BadInput("no want of memory")


def bug(payload: Json, stage: Any) -> Json:
    return {"x": 1 / 0}
