"""What becomes of the time that a search has."""

from __future__ import annotations

from typing import Any

from mlpack_edge.converters.quantization.attempts import attempt
from mlpack_edge.converters.quantization.judged_rows import rows_for
from mlpack_edge.converters.quantization.subject import open_subject
from tests.converters.quantization.test_job import payload

__all__ = ["payload"]


def _silent(stage: str) -> None:
    pass


def test_one_clock_tells_the_time_of_calibration_search_and_measuring(payload: dict[str, Any]) -> None:
    """Where no time passes by it, no search ends early, and all of it is left."""
    wanted = {**payload, "seconds": 0.001, "max_drop": 0.0}
    subject = open_subject(wanted, _silent)
    rows = rows_for(wanted, subject.signature, subject.reference.signature, subject.source.hints())
    found = attempt(subject, rows, wanted, _silent, clock=lambda: 0.0)
    assert found.unfinished == () and found.left == 0.001
    assert not [one for one in found.left_out if one.reason == "time-limit"]
