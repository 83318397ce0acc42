"""Merging is addition: exact, in any order, of any grouping; what does not mean the same is not merged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput
from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.layout import groups
from mlpack_edge.profiles.profile import MANY, Profile, Window, faults, merge
from mlpack_edge.profiles.spec import INPUT, Numeric, Source
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.large import large_profile, large_spec
from tests.profiles.strategies import DEVICE, DIGEST, WINDOW, group_of, profiles, spec_of, specs

SPEC = spec_of([Numeric(Source("x", INPUT), (-1.0, 0.0, 1.0, 2.0), -1.0, 1.0, 0.0, 2.0**-10)], confidence=False)


def of_rows(values: list[float], device: bytes = DEVICE, window: Window = WINDOW) -> Profile:
    tally = Tally(SPEC)
    for value in values:
        tally.add([value])
    return tally.profile(DIGEST, window, device=device, cohort="blue")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_merging_is_associative_and_commutative(data: st.DataObject) -> None:
    spec = data.draw(specs())
    sound = profiles(spec).filter(lambda profile: not profile.epsilon)
    parts = [data.draw(sound) for _ in range(3)]
    whole = merge(parts)
    assert merge([merge(parts[:2]), parts[2]]) == merge([parts[0], merge(parts[1:])]) == whole
    assert merge(data.draw(st.permutations(parts))) == whole
    assert faults(spec, whole) == [] or max(whole.counts) >= 1 << 48


@given(st.lists(st.floats(-3, 3), max_size=30), st.integers(0, 30))
def test_the_parts_of_rows_give_what_all_rows_give(values: list[float], cut: int) -> None:
    assert merge([of_rows(values[:cut]), of_rows(values[cut:])]) == of_rows(values)


@pytest.mark.long
def test_three_hundred_devices_give_the_bits_of_one() -> None:
    spec, generator = large_spec(), np.random.default_rng(0)
    form = ReportFormat(spec, DIGEST)
    parts = [form.decode(form.encode(large_profile(spec, 7, 0, generator))) for _ in range(300)]
    whole = merge(parts)
    assert whole.rows == 2100
    assert faults(spec, whole) == []
    assert whole == merge([merge(parts[at : at + 20]) for at in range(0, 300, 20)])


def test_what_several_devices_counted_is_of_none_of_them_and_spans_their_windows() -> None:
    one, other = of_rows([0.5]), of_rows([0.5], bytes(16), Window(9, 5, 6))
    merged = merge([one, replace(other, cohort="green")])
    assert (merged.device, merged.cohort) == (MANY, "")
    assert merged.window == Window(9, 5, WINDOW.end)
    assert merge([one, one]).device == DEVICE


@pytest.mark.parametrize("change", [{"spec": bytes(16)}, {"model": bytes(16)}, {"epsilon": 1}])
def test_profiles_that_do_not_count_the_same_are_not_merged(change: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="cannot be merged"):
        merge([of_rows([]), replace(of_rows([]), **change)])  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no profile"):
        merge([])


def test_what_cannot_be_true_of_a_profile_is_said() -> None:
    good = of_rows([0.5, 0.7])
    start = group_of(SPEC, "x").start
    wrong = {
        "negative": replace(good, rows=-1),
        "sum to 3": replace(good, counts=(*good.counts[:start], 1, *good.counts[start + 1 :])),
        "a counter of -1": replace(good, counts=(-1, *good.counts[1:])),
        "predictions is 1": replace(good, predictions=1),
        "where the spec has more": replace(good, counts=good.counts[:-1]),
    }
    for said, profile in wrong.items():
        assert any(said in fault for fault in faults(SPEC, profile)), said
    assert faults(SPEC, good) == []
    assert len(good.counts) == groups(SPEC)[-1].stop
