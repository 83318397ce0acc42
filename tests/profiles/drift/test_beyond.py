"""Numbers farther out than any of the reference are as unknown as new categories."""

from __future__ import annotations

import numpy as np
import pytest

from mlpack_edge.profiles.drift.beyond import beyond
from mlpack_edge.profiles.drift.detect import drift
from mlpack_edge.profiles.drift.facts import UNSEEN, FeatureDrift
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import reason
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.spec import Spec
from mlpack_edge.profiles.spec_file import digest
from tests.profiles.drift.made import profile_of, spec_of

DAY, ROWS, DAYS = 20_000, 500, 120


def table(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Hectopascals, an amount with a long tail, a code of four values."""
    return {
        "pressure": random.normal(1013, 8, rows),
        "amount": random.lognormal(2, 1, rows),
        "code": random.integers(0, 4, rows).astype(float),
    }


@pytest.fixture(scope="module")
def spec() -> Spec:
    return spec_of(table(np.random.default_rng(0), DAYS * ROWS), np.repeat(np.arange(DAYS), ROWS))


def judged(spec: Spec, rows: dict[str, np.ndarray]) -> dict[str, FeatureDrift]:
    report = drift(spec, digest(spec), [profile_of(spec, rows, DAY)], (1,))
    return {feature.name: feature for feature in report.windows[0].features}


def test_a_number_that_stands_for_missing_is_told_though_it_moves_no_distribution(spec: Spec) -> None:
    rows = table(np.random.default_rng(1), 2_000)
    rows["pressure"][:40] = -999.0
    found = judged(spec, rows)["pressure"]
    cause = Gates().cause(found, True)
    assert cause is not None and cause.kind == UNSEEN and found.unseen == (0.0, 0.02)
    assert reason(found, cause, 0.002) == "2.0 % of rows hold no number, or one farther out than any of the reference"


def test_a_new_code_among_numbers_is_told(spec: Spec) -> None:
    rows = table(np.random.default_rng(1), 2_000)
    rows["code"][:20] = 4.0
    cause = Gates().cause(judged(spec, rows)["code"], True)
    assert cause is not None and cause.kind == UNSEEN


def test_another_unit_is_said_to_be_one(spec: Spec) -> None:
    rows = table(np.random.default_rng(1), 2_000)
    rows["pressure"] *= 100
    found = judged(spec, rows)["pressure"]
    cause = Gates().cause(found, True)
    assert cause is not None and "another unit?" in reason(found, cause, 0.002)


def test_long_tails_of_days_like_the_references_do_not_alarm(spec: Spec) -> None:
    """The largest of all rows is passed now and then: by one row, not by two in a thousand."""
    random = np.random.default_rng(2)
    alarms = [
        name
        for rows in (200, 1_000, 5_000)
        for _ in range(40)
        for name, feature in judged(spec, table(random, rows)).items()
        if Gates().cause(feature, True)
    ]
    assert len(alarms) <= 1, alarms


def test_only_cells_outside_the_range_and_without_a_row_count(spec: Spec) -> None:
    for group in groups(spec):
        far = beyond(spec, group)
        if group.feature is None or group.sum_index < 0:
            assert far is None
            continue
        assert far is not None
        known = np.array(spec.reference.counts[group.start : group.stop])
        assert far.never.any() and not known[far.never].any()
        assert not far.never[-2:].any(), "missing and invalid are no cells of numbers"
        assert not far.unexplained(None)[~far.never].any()


def test_categories_have_no_cells_beyond() -> None:
    text = {"kind": np.array(["a", "b"] * 50, object)}
    made = spec_of(text, np.repeat(np.arange(10), 10))
    assert all(beyond(made, group) is None for group in groups(made))
