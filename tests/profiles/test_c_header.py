"""A spec as C tables: what it refuses. What it writes is held against C in tests/devices/c."""

from __future__ import annotations

import pytest

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.profiles.c_header import c_header
from mlpack_edge.profiles.spec import INPUT, OUTPUT, Categorical, Numeric, Presence, Source
from tests.profiles.strategies import DIGEST, spec_of

NUMBER = Numeric(Source("x", INPUT), (0.0, 1.0), 0.0, 1.0, 0.0, 2.0**-10)


def test_the_same_spec_gives_the_same_text_of_ascii() -> None:
    spec = spec_of([NUMBER], confidence=False)
    assert c_header(spec, DIGEST, "flights") == c_header(spec, DIGEST, "flights")
    assert "static const mlpack_spec flights_spec" in c_header(spec, DIGEST, "flights")
    assert c_header(spec, DIGEST).isascii()


@pytest.mark.parametrize("name", ["", "1st", "Model", "my-model", "a b"])
def test_a_name_that_is_none_in_c_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="cannot begin names"):
        c_header(spec_of([NUMBER], confidence=False), DIGEST, name)


def test_a_spec_that_c_would_count_otherwise_is_refused() -> None:
    fine = Numeric(Source("y", INPUT), (0.0, 1.0), 0.0, 1.0, 0.0, 2.0**-31)
    with pytest.raises(Unsupported, match="steps"):
        c_header(spec_of([fine], confidence=False), DIGEST)
    with pytest.raises(Unsupported, match="before an input"):
        c_header(spec_of([Presence(Source("label", OUTPUT), ""), NUMBER], confidence=False), DIGEST)
    many = Numeric(Source("z", INPUT), tuple(float(edge) for edge in range(1 << 16)), 0.0, 1.0, 0.0, 1.0)
    with pytest.raises(Unsupported, match="16 bits"):
        c_header(spec_of([many], confidence=False), DIGEST)
    wordy = Categorical(Source("w", INPUT), ("a",), tuple(f"b{number}" for number in range(1 << 16)))
    with pytest.raises(Unsupported, match="w knows 65536 values, beyond 16 bits"):
        c_header(spec_of([wordy], confidence=False), DIGEST)
