"""What the root folders install as."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"batch", "cli", "converters", "core", "devices", "fleet", "profiles", "runtimes"}


def _tracked(*folders: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [name for name in listed.split("\0") if name]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The file names in a wheel built from a clean copy of what git tracks."""
    source, out = tmp_path_factory.mktemp("src"), tmp_path_factory.mktemp("dist")
    for name in _tracked():
        if not (ROOT / name).is_symlink() and (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, source],
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_every_tracked_file_ships_under_one_import_package(wheel: set[str]) -> None:
    tracked = {f"mlpack_edge/{name}" for name in _tracked(*ROOMS)}
    assert {name for name in wheel if ".dist-info/" not in name} == tracked


def test_every_package_folder_is_listed() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(config["tool"]["setuptools"]["packages"])
    found = {
        "mlpack_edge." + ".".join(path.parent.relative_to(ROOT).parts)
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert listed == found


def test_every_room_is_linked_for_static_tools() -> None:
    links = {path.name: path.resolve() for path in (ROOT / ".dev" / "mlpack_edge").iterdir()}
    assert links == {name: ROOT / name for name in ROOMS}


def test_the_rooms_are_all_the_folders_that_hold_modules() -> None:
    """A room that is not begun is absent; a folder that is begun is a room."""
    holding = {Path(name).parts[0] for name in _tracked() if name.endswith(".py")}
    assert holding == ROOMS | {"tests", "benchmarks"}


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_no_room_is_importable_by_its_bare_name(name: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=tmp_path, capture_output=True, check=False)
    assert b"ModuleNotFoundError" in done.stderr


def test_every_entry_point_resolves() -> None:
    """A lazy `module:name` string that points nowhere would be found by a user, at night."""
    from importlib.metadata import entry_points

    groups = ("mlpack_edge.sources", "mlpack_edge.runtimes", "mlpack_edge.steps", "console_scripts")
    ours = [point for group in groups for point in entry_points(group=group) if "mlpack_edge" in point.value]
    assert len(ours) > 1
    for point in ours:
        assert callable(point.load()), point


def test_files_stay_short() -> None:
    long = {
        name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in _tracked() if name.endswith(".py")
    }
    assert {name: lines for name, lines in long.items() if lines > 600} == {}
