"""The programs of docs/how-to/count-on-a-device.md run as they are printed, and write the same bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.profiles.arrays.counting import Coded
from mlpack_edge.profiles.device import device_digest
from mlpack_edge.profiles.reference.blocks import Cutting
from mlpack_edge.profiles.reference.columns import spec_from_columns
from mlpack_edge.profiles.spec_file import write_spec
from tests.cli.mlpack import mlpack, mlpack_json

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/how-to/count-on-a-device.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With late.spec.json, and gate-7.report as the program in Python writes it."""
    made, random = tmp_path_factory.mktemp("device"), np.random.default_rng(0)
    inputs = {
        "temperature": random.normal(20, 4, 3000),
        "mode": Coded(random.integers(0, 2, 3000), ("auto", "eco")),
    }
    spec = spec_from_columns(
        inputs, np.arange(3000) // 30, Cutting("rows", ""), model_sha256="ab" * 32,
        outputs={"label": Coded(random.integers(0, 2, 3000), ("on time", "late"))}, probabilities=random.random((3000, 2)),
    )  # fmt: skip
    write_spec(made / "late.spec.json", spec, False)
    (made / "count.py").write_text(_block("python"))
    subprocess.run([sys.executable, "count.py"], cwd=made, check=True, timeout=60)
    return made


def _block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_python_writes_a_report_of_all_three_rows(folder: Path) -> None:
    code, shown = mlpack_json("profile", "show", "gate-7.report", cwd=folder)
    assert (code, shown["rows"], shown["predictions"]) == (0, 3, 2)
    assert shown["device"] == device_digest("gate-7", "fleet-2026").hex() and shown["cohort"] == "blue"
    assert shown["outcome"]["failed"] == 1 and shown["features"]["temperature"]["missing"] == 1


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed (.ci/debian-packages)")
def test_c_writes_the_same_bytes(folder: Path) -> None:
    done = mlpack("profile", "header", "late.spec.json", "-o", "late_spec.h", "--name", "late", cwd=folder)
    assert done.returncode == 0, done.stderr
    device = ", ".join(str(byte) for byte in device_digest("gate-7", "fleet-2026"))
    given = f"static const unsigned char DEVICE[16] = {{{device}}};\n"
    (folder / "count.c").write_text(given + _block("c"))
    sources = ["count.c", str(ROOT / "devices/c/mlpack_profile.c"), f"-I{ROOT / 'devices/c'}", "-o", "count"]
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", *sources], cwd=folder, check=True, timeout=120)
    written = subprocess.run(["./count"], cwd=folder, check=True, capture_output=True, timeout=60).stdout
    assert written == (folder / "gate-7.report").read_bytes()
