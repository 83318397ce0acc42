"""Instructions of real guests, counted by the plugin under QEMU."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlpack_edge.core.errors import Unsupported, WorkerFault
from mlpack_edge.devices.emulation.boards import Profile
from mlpack_edge.devices.emulation.counts import CLASSES, read_regions
from mlpack_edge.devices.emulation.launch import launcher
from mlpack_edge.devices.emulation.plugin import why_no_counts
from mlpack_edge.devices.emulation.qemu import find_qemu
from tests.devices.conftest import Emulated
from tests.devices.emulation.models import MULTIPLY_ADDS, write_onnx, write_tflite

pytestmark = pytest.mark.long
HERE = Path(__file__).parent


def _counted(profile: Profile, counts: Path, script: str, *arguments: str) -> list[dict[str, int]]:
    counts.unlink(missing_ok=True)
    start = launcher(profile, counts)
    subprocess.run(
        [*start.command, HERE / script, *arguments], env=start.environment, check=True, capture_output=True, timeout=300
    )
    return read_regions(counts)


def _able(profile: Profile) -> Profile:
    """The test is skipped by name where this machine cannot count."""
    if why := why_no_counts(profile, find_qemu(profile))[0]:
        pytest.skip(why)
    return profile


@pytest.fixture
def counting(emulated: Emulated) -> Emulated:
    """Give a profile by name, set up, whose instructions can be counted here."""
    return lambda name: _able(emulated(name))


#: Of a64_words.txt, what a Cortex-A76 runs with two pointers in x0 and x1, and without going elsewhere.
_RUN = (
    "fmla v0.4s, v1.4s, v2.4s", "fmla v0.4s, v1.4s, v2.s[3]", "fmla v0.8h, v1.8h, v2.8h", "mla v0.8h, v1.8h, v2.8h",
    "smlal v0.8h, v1.8b, v2.8b", "umlal v0.4s, v1.4h, v2.h[2]", "fmadd s0, s1, s2, s3", "sdot v0.4s, v1.16b, v2.16b",
    "udot v0.4s, v1.16b, v2.4b[3]", "fmul v0.4s, v1.4s, v2.4s", "smull v0.8h, v1.8b, v2.8b", "ldur q0, [x1, #-16]",
    "fadd s0, s1, s2", "ldrsb w0, [x1]", "ld1r {v0.4s}, [x1]", "ldr x0, .+8", "st1 {v0.4s}, [x1]",
    "crc32b w0, w1, w2", "nop", "dmb ish",
)  # fmt: skip


def test_each_instruction_that_runs_is_counted_once_in_its_classes(counting: Emulated, tmp_path: Path) -> None:
    """Known words, executed a known number of times, against the same calls without them."""
    profile = counting("pi5")
    listed = [line.split(": ") for line in (HERE / "a64_words.txt").read_text(encoding="utf-8").splitlines()[1:]]
    chosen = {text: (word, set(classes.split())) for word, text, classes in listed if text in _RUN}
    assert set(chosen) == set(_RUN)
    times, copies = 20, 10_000
    programs = [word for word, _ in chosen.values()]
    counted = _counted(profile, tmp_path / "counts", "guest_words.py", str(times), str(copies), "-", "-", *programs)[
        3::2
    ]
    for (text, (_, classes)), region in zip(chosen.items(), counted[1:], strict=True):
        # What Python runs around a call differs by some hundred instructions from call to call.
        shares = {name: (region[name] - counted[0][name]) / (times * copies) for name in CLASSES}
        assert shares == pytest.approx({name: float(name in classes | {"total"}) for name in CLASSES}, abs=0.02), text


Launches = dict[str, list[dict[str, int]]]


@pytest.fixture(scope="module")
def launches(emulated: Emulated, tmp_path_factory: pytest.TempPathFactory) -> Launches:
    """Five launches of 20 calls of the 64 x 64 product, in ONNX Runtime and in LiteRT."""
    profile, folder = _able(emulated("pi4")), tmp_path_factory.mktemp("launches")
    models = (write_onnx(folder / "product.onnx"), write_tflite(folder / "product.tflite"))
    return {
        model.suffix: [_counted(profile, folder / "counts", "guest_calls.py", str(model), "20")[0] for _ in range(5)]
        for model in models
    }


def _by_call(region: dict[str, int], calls: int) -> dict[str, float]:
    """What the caller itself runs around each call is in them."""
    return {name: number / calls for name, number in region.items()}


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_multiply_adds_are_the_products_of_the_net(suffix: str, launches: Launches) -> None:
    """64^3 products are 64^3 / 4 FMLA on four float32 lanes, exactly."""
    counts = _by_call(launches[suffix][0], 20)
    assert counts["multiply_add"] == MULTIPLY_ADDS / 4
    assert counts["dot_product"] == 0
    assert counts["total"] > counts["simd"] > counts["multiply_add"]


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_five_launches_agree_within_a_thousandth(suffix: str, launches: Launches) -> None:
    """Above a million instructions in the region: the total, and each class that has a share of it."""
    assert launches[suffix][0]["total"] > 1_000_000
    for name in ("total", "simd", "multiply_add", "loads", "stores", "branches", "integer"):
        numbers = [launch[name] for launch in launches[suffix]]
        assert max(numbers) - min(numbers) <= 0.001 * launches[suffix][0]["total"], (name, numbers)


def test_int8_takes_dot_products_where_the_processor_has_them(counting: Emulated, tmp_path: Path) -> None:
    """The Cortex-A76 has SDOT, sixteen products an instruction; the Cortex-A53 and A72 have not."""
    model = str(write_onnx(tmp_path / "product.onnx", np.int8))
    found = {}
    for name in ("pi3", "pi4", "pi5"):
        (region,) = _counted(counting(name), tmp_path / "counts", "guest_calls.py", model, "10")
        found[name] = _by_call(region, 10)
    assert found["pi5"]["dot_product"] == MULTIPLY_ADDS / 16
    assert found["pi3"]["dot_product"] == found["pi4"]["dot_product"] == 0
    assert found["pi3"]["multiply_add"] > 0 < found["pi4"]["multiply_add"]
    assert found["pi5"]["total"] < 0.7 * found["pi4"]["total"]


def test_a_folder_with_a_comma_in_its_name_holds_counts(counting: Emulated, tmp_path: Path) -> None:
    """Commas part the arguments of QEMU's plugins."""
    folder = tmp_path / "a,b"
    folder.mkdir()
    assert len(_counted(counting("pi4"), folder / "counts,1", "guest_words.py", "1", "0", "-")) == 2


def test_marks_that_do_not_pair_are_refused(counting: Emulated, tmp_path: Path) -> None:
    start = launcher(counting("pi4"), tmp_path / "counts")
    for marks, why in (
        ("-7001,", "ended inside a region"),
        ("-7002,", "did not begin in this thread"),
        ("-7001, -7001", "inside another"),
    ):
        (tmp_path / "counts").unlink(missing_ok=True)
        code = f"import os, contextlib\nfor mark in ({marks}):\n    with contextlib.suppress(OSError): os.close(mark)"
        subprocess.run([*start.command, "-S", "-c", code], env=start.environment, check=True, timeout=60)
        with pytest.raises(WorkerFault) as caught:
            read_regions(tmp_path / "counts")
        assert why in caught.value.why


@pytest.mark.parametrize("name", ["armv7", "x86-64-avx2"])
def test_other_instruction_sets_are_refused_by_name(name: str, emulated: Emulated, tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        launcher(emulated(name), tmp_path / "counts")
    assert f"emulated:{name}" in caught.value.message
    assert not (tmp_path / "counts").exists()
