"""Whatever a device prints of itself: figures are read where they are figures, and are unknown where they are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.devices.targets.android_environment import environment_from_text

SECTIONS = (
    "ro.build.version.sdk", "kernel", "cpuinfo", "load", "governors", "clocks", "most_clocks", "thermal", "zones",
    "battery", "saver", "room",
)  # fmt: skip


@pytest.mark.parametrize(
    ("section", "said", "key", "read"),
    [
        ("load", "0.50 1.25 2.00 3/999 4321", "load", [0.5, 1.25, 2.0]),
        ("load", "1.2.3 . .", "load", None),
        ("ro.build.version.sdk", "34", "android_sdk", 34),
        ("ro.build.version.sdk", "\u00b2", "android_sdk", None),
        ("clocks", "1800000\n300000", "frequency_mhz", 1800.0),
        ("clocks", "\u00b2", "frequency_mhz", None),
        ("thermal", "Temperature{mValue=43.25, mType=0, mName=CPU}", "temperature_c", 43.25),
        ("thermal", "Temperature{mValue=1.2.3, mType=0, mName=CPU}", "temperature_c", None),
        ("room", "/data 9 4 5", "free_bytes", 5120),
        ("room", "/data 9 4 \u00b2", "free_bytes", None),
    ],
)
def test_a_figure_is_read_or_unknown(section: str, said: str, key: str, read: object) -> None:
    assert environment_from_text(f"mlpack-section {section}\n{said}\n", "serial")[key] == read


@given(
    st.dictionaries(
        st.sampled_from(SECTIONS), st.text(st.sampled_from("0123456789.-: \n=,{}Temprau\u00b2"), max_size=40)
    )
)
def test_anything_at_all_is_an_environment(said: dict[str, str]) -> None:
    found = environment_from_text("".join(f"mlpack-section {name}\n{text}\n" for name, text in said.items()), "serial")
    json.dumps(found, allow_nan=False)
