"""What is said of a finding."""

import json
import math

import pytest

from mlpack_edge.profiles.drift.document import feature_to_json
from mlpack_edge.profiles.drift.facts import DISTRIBUTION, Check, FeatureDrift
from mlpack_edge.profiles.drift.gates import Gates
from mlpack_edge.profiles.drift.reasons import percent, rate_text, reason

SAID = "; the reference's own windows set the limit at "


def _feature(check: Check, kind: str = "numeric", unseen: float = 0.0) -> FeatureDrift:
    return FeatureDrift("x", "input", kind, 500, (check,), (0.0, math.nan), (0.0, unseen))


def _check(effect: float, learned: float | None) -> Check:
    return Check(DISTRIBUTION, "ks", effect, 0.0, effect, learned, 1e-9, 1e-9)


@pytest.mark.parametrize(
    ("learned", "sufficient", "said"),
    [
        (0.2, True, SAID + "0.2"),
        (0.014, True, ""),
        (None, True, ""),
        (0.0, True, ""),
        (0.05, False, ""),
        (0.14, False, SAID + "0.14"),
    ],
)
def test_the_references_windows_are_named_where_they_and_not_the_floor_set_the_limit(
    learned: float | None, sufficient: bool, said: str
) -> None:
    """The floor is .03, and three times that where the reference is short."""
    feature, gates = _feature(_check(0.3, learned)), Gates()
    found = feature_to_json(feature, gates, sufficient)
    assert found["drifted"] and found["reason"] == "distribution moved by 0.3 (Kolmogorov-Smirnov)" + said
    assert reason(feature, feature.checks[0], gates.threshold(feature.checks[0], sufficient)) == found["reason"]


def test_a_rate_that_is_withheld_is_a_dash_in_words_and_null_in_json() -> None:
    assert (percent(math.nan), rate_text(math.nan), rate_text(0.031)) == ("-", "-", "3.1 %")
    found = feature_to_json(_feature(_check(0.3, None), unseen=math.nan), Gates(), True)
    assert found["missing_delta"] is None and found["unseen_rate"] is None
    json.dumps(found, allow_nan=False)
