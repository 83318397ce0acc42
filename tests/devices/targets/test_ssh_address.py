"""Which addresses and which names of Python are taken."""

from __future__ import annotations

import pytest

from mlpack_edge.core.errors import BadInput
from tests.devices.targets.ssh_board import board


@pytest.mark.parametrize(
    "text",
    ["board", "/board", "//", "//@board", "//-oProxyCommand=x", "//-l@board", "//a:b@board", "//board:0", "//board:65536",
     "//board:x", "//board:", "//board/path", "//bo ard", "//$(x)", "//b`x`", "//[::1", "//[board]", "//::1", "//a;b",
     "//board:22:23", "//b\nc", "///board"],
)  # fmt: skip
def test_other_forms_of_address_are_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        board(address=text)
    assert caught.value.hint and f"'ssh:{text}'" in caught.value.message


def test_a_user_may_hold_an_at_sign_and_a_host_be_ipv6() -> None:
    one, other = board(address="//me@realm@board:2222").host, board(address="//me@[fe80::1%eth0]").host
    assert (one.user, one.host, one.port) == ("me@realm", "board", 2222)
    assert (other.user, other.host, other.port) == ("me", "fe80::1%eth0", None)
    assert one.command == "ssh -p 2222 me@realm@board"


@pytest.mark.parametrize("python", ["", " ", "-c", "a!b", "a\\b", "a\nb"])
def test_pythons_that_no_shell_could_be_given(python: str) -> None:
    with pytest.raises(BadInput, match="--target-python"):
        board(python)
