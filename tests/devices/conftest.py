"""Emulated machines for tests: set up once a run, in a folder that all of pytest-xdist's workers share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlpack_edge.core.errors import IoFault, MissingExtra, Unsupported
from mlpack_edge.devices.emulation.boards import Profile, profile_named
from mlpack_edge.devices.emulation.root import status
from mlpack_edge.devices.emulation.setup import plan, setup

Emulated = Callable[[str], Profile]


@pytest.fixture(scope="session")
def emulated_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """MLPACK_DATA_DIR of this run: $MLPACK_TEST_DATA_DIR where a developer keeps one, else a folder of this run."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = Path(os.environ.get("MLPACK_TEST_DATA_DIR", run / "emulated-data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPACK_DATA_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def emulated(emulated_data: Path) -> Emulated:
    """Give a profile by name, set up. A test is skipped by name where QEMU, Debian or the network is missing."""
    ready: set[str] = set()

    def prepared(name: str) -> Profile:
        profile = profile_named(name)
        if name not in ready:
            try:
                if status(profile).state != "ready":
                    plan(profile, lambda stage: None)
            except (MissingExtra, Unsupported, IoFault) as fault:
                pytest.skip(f"{fault.message} ({fault.why or fault.hint})")
            # What can be planned must be possible: a setup that fails now fails the test.
            setup(profile, lambda stage: None)
            ready.add(name)
        return profile

    return prepared
