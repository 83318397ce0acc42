"""A profile by the format of the model."""

from __future__ import annotations

from mlpack_edge.devices.targets.agent.frames import Json
from mlpack_edge.devices.targets.agent.models import Feeds
from mlpack_edge.devices.targets.agent.profile_litert import profile_tflite
from mlpack_edge.devices.targets.agent.profile_onnx import profile_onnx


def told_profile(job: Json, feeds: Feeds) -> Json:
    """What `settled` gives, for a job of {file, format, threads, spinning, profile}; `profile` begins the names of files
    that a runtime writes for itself.
    """
    if job["format"] == "onnx":
        return profile_onnx(job["file"], feeds, job["threads"], job["spinning"], job["profile"])
    return profile_tflite(job["file"], feeds, job["threads"])
