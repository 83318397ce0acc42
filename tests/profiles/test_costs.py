"""What a device and a report may cost, as far as it does not depend on what else the machine does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.large import large_profile, large_spec
from tests.profiles.strategies import DIGEST

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_counting_and_reporting_takes_at_most_ten_megabytes_above_the_interpreter() -> None:
    command = [sys.executable, ROOT / "benchmarks" / "profile_row.py", "--rows", "100", "--repeats", "1"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["above_bare_mb"] <= 10
    assert found["us_a_row"] > 0


@pytest.mark.parametrize(("rows", "most"), [(200, 1_300), (1_000, 1_600), (5_000, 1_900), (20_000, 2_200)])
def test_a_report_of_seventy_features_that_look_like_the_reference_is_small(rows: int, most: int) -> None:
    spec = large_spec()
    profile = large_profile(spec, rows, 0, np.random.default_rng(4))
    assert len(ReportFormat(spec, DIGEST).encode(profile)) <= most


def test_a_thousand_rows_that_are_off_in_every_feature_fit_in_two_thousand_two_hundred_bytes() -> None:
    spec = large_spec()
    profile = large_profile(spec, 1_000, 0.5, np.random.default_rng(4))
    assert len(ReportFormat(spec, DIGEST).encode(profile)) <= 2_200
