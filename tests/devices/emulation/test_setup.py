"""Setting an emulated machine up: what it says before, what it leaves, and what happens when it fails in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlpack_edge.core.errors import BadInput, Unsupported
from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.devices.emulation.debian import refuse_other_systems
from mlpack_edge.devices.emulation.launch import launcher
from mlpack_edge.devices.emulation.root import status
from mlpack_edge.devices.emulation.setup import plan, setup
from tests.devices.conftest import Emulated

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[3]
#: Nothing listens at port 9 of this machine.
_DEAD = "http://127.0.0.1:9"


def _quiet(stage: str) -> None:
    pass


def _start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.devices.emulation.setup_run", *arguments], cwd=ROOT,
        env={**os.environ, "MLPACK_DATA_DIR": str(folder), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _wait_for(child: subprocess.Popen[str], words: str) -> None:
    """Read the child's stages up to the one with these words."""
    assert child.stdout is not None
    seen = []
    for line in child.stdout:
        seen.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} is not in {seen}")


def _left(folder: Path) -> list[str]:
    """What lies in the data folder but apt's lists and locks."""
    return sorted(path.name for path in (folder / "emulated").iterdir() if path.name not in ("apt", ".armv7.lock"))


@pytest.fixture
def small(emulated: Emulated, emulated_data: Path, tmp_path: Path) -> Path:
    """A data folder without a root, whose lists of packages are there already: armv7 is the smallest root."""
    emulated("armv7")
    shutil.copytree(emulated_data / "emulated/apt", tmp_path / "emulated/apt")
    return tmp_path


def test_a_plan_names_every_package_with_its_size_before_anything_is_fetched(small: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MLPACK_DATA_DIR", str(small))
    made = plan(profile_named("armv7"), _quiet)
    assert made.status.state == "absent"
    assert {"libc6", "python3-numpy", "tflite-runtime"} <= {package["name"] for package in made.packages}
    assert all(package["version"] and package["url"] and len(package["sha256"]) == 64 for package in made.packages)
    assert made.unknown == []
    assert made.bytes == sum(package["bytes"] for package in made.packages) > 10_000_000
    assert _left(small) == []
    assert json.loads(json.dumps(made.to_json())) == made.to_json()


@pytest.mark.parametrize(
    ("name", "machine", "part"),
    [
        ("pi3", "aarch64", "0xd03"),
        ("pi4", "aarch64", "0xd08"),
        ("pi5", "aarch64", "0xd0b"),
        ("armv7", "armv7l", "0xc07"),
    ],
)
def test_a_guest_is_the_machine_that_it_is_named_after(name: str, machine: str, part: str, emulated: Emulated) -> None:
    start = launcher(emulated(name))
    code = "import platform, json; print(json.dumps([platform.machine(), open('/proc/cpuinfo').read()]))"
    done = subprocess.run([*start.command, "-c", code], env=start.environment, capture_output=True, check=True)
    seen, cpuinfo = json.loads(done.stdout)
    assert seen == machine
    assert cpuinfo.count(f"CPU part\t: {part}\n") == 4


def test_a_guest_sees_its_own_packages_alone(emulated: Emulated) -> None:
    """Nothing of this machine's Python: every path is below the root."""
    start = launcher(emulated("pi4"))
    done = subprocess.run(
        [*start.command, "-c", "import sys, json; print(json.dumps(sys.path[1:]))"],
        env=start.environment, capture_output=True, check=True,
    )  # fmt: skip
    root = status(emulated("pi4")).folder
    assert all(path.startswith(f"{root}/") for path in json.loads(done.stdout))


def test_haswell_has_avx2_and_no_avx512(emulated: Emulated) -> None:
    start = launcher(emulated("x86-64-avx2"))
    code = "from numpy._core._multiarray_umath import __cpu_features__ as f; print(f['AVX2'], f['AVX512F'])"
    done = subprocess.run([*start.command, "-c", code], env=start.environment, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"True False\n", b"")


def test_a_second_setup_fetches_nothing(emulated: Emulated) -> None:
    stages: list[str] = []
    assert setup(emulated("pi5"), stages.append).state == "ready"
    assert not any("download" in stage for stage in stages)


@pytest.mark.parametrize(
    "harm",
    [
        lambda root: _flip(root / "root/usr/lib/python3.11/json/decoder.py"),
        lambda root: (root / "site/numpy/version.py").unlink(),
        lambda root: (root / "boards/pi4/proc/cpuinfo").write_text("processor : 0\n"),
        lambda root: (root / "boards/pi4/lib").unlink(),
        lambda root: (root / "site/strange.py").write_text(""),
        lambda root: (root / "manifest.json").write_text("{"),
    ],
    ids=["byte", "missing", "cpuinfo", "link", "strange", "manifest"],
)
def test_a_damaged_root_is_found(harm: Any, emulated: Emulated, tmp_path: Path, monkeypatch: Any) -> None:
    whole = status(emulated("pi4")).folder
    assert whole is not None
    root = tmp_path / "emulated/aarch64"
    shutil.copytree(whole, root, symlinks=True, copy_function=os.link)
    monkeypatch.setenv("MLPACK_DATA_DIR", str(tmp_path))
    assert status(profile_named("pi4")).state == "ready"
    _own_files(root)
    harm(root)
    found = status(profile_named("pi4"))
    assert found.state == "damaged"
    assert found.hint == "mlpack target setup emulated:pi4"


def _own_files(root: Path) -> None:
    """Hard links become copies where the test writes, so that the shared root stays whole."""
    for name in ("root/usr/lib/python3.11/json/decoder.py", "boards/pi4/proc/cpuinfo", "manifest.json"):
        data = (root / name).read_bytes()
        (root / name).unlink()
        (root / name).write_bytes(data)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def test_other_versions_than_here_are_not_launched(emulated: Emulated, tmp_path: Path, monkeypatch: Any) -> None:
    """Outputs are compared between equal versions."""
    whole = status(emulated("pi4")).folder
    assert whole is not None
    root = tmp_path / "emulated/aarch64"
    shutil.copytree(whole, root, symlinks=True, copy_function=os.link)
    record = json.loads((root / "manifest.json").read_bytes())
    (root / "manifest.json").unlink()
    record["wheels"]["onnxruntime"] = "1.20.0"
    (root / "manifest.json").write_text(json.dumps(record))
    monkeypatch.setenv("MLPACK_DATA_DIR", str(tmp_path))
    assert status(profile_named("pi4")).state == "stale"
    with pytest.raises(BadInput, match=r"onnxruntime 1\.20\.0"):
        launcher(profile_named("pi4"))


def test_what_is_not_set_up_is_not_launched(tmp_path: Path, emulated: Emulated, monkeypatch: Any) -> None:
    emulated("pi4")
    monkeypatch.setenv("MLPACK_DATA_DIR", str(tmp_path))
    with pytest.raises(BadInput) as caught:
        launcher(profile_named("pi4"))
    assert caught.value.hint == "mlpack target setup emulated:pi4"


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"http_proxy": _DEAD}, "Debian's armhf packages could not be downloaded"),
        ({"PIP_INDEX_URL": _DEAD, "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"},
         "wheels for Python 3.11 on armv7l could not be found"),
    ],
    ids=["apt", "pip"],
)  # fmt: skip
def test_a_network_that_goes_away_is_one_clear_error(environment: dict[str, str], what: str, small: Path) -> None:
    child = _start(small, "armv7", **environment)
    printed = child.communicate(timeout=300)[0]
    last = printed.splitlines()[-1]
    assert last.startswith("io: ")
    assert what in last
    assert "Traceback" not in printed
    assert _left(small) == []


def test_a_full_disk_is_one_clear_error(small: Path) -> None:
    """No file may grow over 2 MB: a package is cut in the middle."""
    child = _start(small, "armv7", "2000000")
    printed = child.communicate(timeout=300)[0]
    assert printed.splitlines()[-1].startswith("io: ")
    assert "Traceback" not in printed
    assert _left(small) == []


def test_ctrl_c_leaves_nothing(small: Path) -> None:
    child = _start(small, "armv7")
    _wait_for(child, "unpacking")
    child.send_signal(signal.SIGINT)
    printed = child.communicate(timeout=120)[0]
    assert printed.splitlines()[-1].startswith("interrupted: ")
    assert _left(small) == []


def test_after_a_kill_in_the_middle_two_setups_at_once_make_one_root(small: Path, monkeypatch: Any) -> None:
    """What the killed one left goes; the second of the two waits, and finds it ready."""
    child = _start(small, "armv7")
    _wait_for(child, "unpacking")
    child.kill()
    child.communicate()
    assert any(name.endswith(".part") for name in _left(small))
    both = [_start(small, "armv7") for _ in range(2)]
    printed = [one.communicate(timeout=600)[0] for one in both]
    assert [text.splitlines()[-1] for text in printed] == ["ready", "ready"]
    assert sum("unpacking" in text for text in printed) == 1
    assert sum("waiting for another setup" in text for text in printed) == 1
    assert _left(small) == ["armv7"]
    monkeypatch.setenv("MLPACK_DATA_DIR", str(small))
    assert status(profile_named("armv7")).state == "ready"


def test_a_machine_that_is_no_debian_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="this system is 'fedora'"):
        refuse_other_systems("fedora")
