"""The class of AArch64 instructions, against the assembler's words and the disassembler's names."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mlpack_edge.devices import emulation
from tests.devices.emulation.needs import need_compiler, need_tool

Words = NDArray[np.uint32]
Classify = Callable[[Words], Words]

#: The bits of a64_classes.h, in their order.
NAMES = (
    "simd", "scalar_float", "multiply_add", "dot_product", "loads", "stores", "vector_loads", "vector_stores", "branches",
    "integer", "other",
)  # fmt: skip
BIT = {name: np.uint32(1 << place) for place, name in enumerate(NAMES)}
_SOURCE = """
#include <stddef.h>
#include "a64_classes.h"
void classify(const uint32_t *words, size_t length, uint32_t *classes) {
    for (size_t i = 0; i < length; i++) classes[i] = a64_classes(words[i]);
}
"""


@pytest.fixture(scope="module")
def classify(tmp_path_factory: pytest.TempPathFactory) -> Classify:
    """The plugin's own function, compiled for this machine."""
    folder = tmp_path_factory.mktemp("classes")
    (folder / "classify.c").write_text(_SOURCE)
    header = Path(str(emulation.__file__)).parent
    options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O2", f"-I{header}"]
    subprocess.run([need_compiler(), *options, "-o", folder / "classify.so", folder / "classify.c"], check=True)
    library = ctypes.CDLL(str(folder / "classify.so"))

    def run(words: Words) -> Words:
        made = np.zeros_like(words)
        pointer = ctypes.POINTER(ctypes.c_uint32)
        library.classify(words.ctypes.data_as(pointer), ctypes.c_size_t(words.size), made.ctypes.data_as(pointer))
        return made

    return run


def _assembled() -> list[tuple[int, str, set[str]]]:
    lines = Path(__file__).with_name("a64_words.txt").read_text(encoding="utf-8").splitlines()[1:]
    parts = [line.split(": ") for line in lines]
    return [(int(word, 16), text, set(classes.split())) for word, text, classes in parts]


def test_assembled_instructions_have_the_classes_their_names_say(classify: Classify) -> None:
    listed = _assembled()
    made = classify(np.array([word for word, _, _ in listed], np.uint32))
    found = {
        text: {name for name in NAMES if bits & BIT[name]} for (_, text, _), bits in zip(listed, made, strict=True)
    }
    assert found == {text: classes for _, text, classes in listed}


def test_every_word_is_in_exactly_one_group(classify: Classify) -> None:
    """simd, scalar_float, load or store or both, branches, integer, other: nothing twice, nothing left out."""
    made = classify(np.random.default_rng(0).integers(0, 2**32, 1_000_000, dtype=np.uint32))
    access = (made & (BIT["loads"] | BIT["stores"])) > 0
    groups = access.astype(int)
    for name in ("simd", "scalar_float", "branches", "integer", "other"):
        groups += (made & BIT[name]) > 0
    assert (groups == 1).all()
    for part, whole in (
        ("multiply_add", BIT["simd"] | BIT["scalar_float"]), ("dot_product", BIT["simd"]),
        ("vector_loads", BIT["loads"]), ("vector_stores", BIT["stores"]),
    ):  # fmt: skip
        inside = made[(made & BIT[part]) > 0]
        assert inside.size > 0
        assert ((inside & whole) > 0).all()
    assert not ((made & BIT["multiply_add"] > 0) & (made & BIT["dot_product"] > 0)).any()


_MULTIPLY_ADD = re.compile(
    r"f(n?m(add|sub))|fml[as]|fml[as]l2?|fcmla|bfmlal[bt]|ml[as]|[su]ml[as]l2?|sqdml[as]l2?|sqrdml[as]h"
)
_DOT_PRODUCT = re.compile(r"[su]dot|usdot|sudot|bfdot|[su]mmla|usmmla|bfmmla")
_READ_AND_WRITE = re.compile(r"(ld|st)(add|clr|eor|set|[su]max|[su]min)(a?l?[bh]?)|swpa?l?[bh]?|casp?a?l?[bh]?")
_LOAD = re.compile(r"ld(p|psw|np|r|rb|rh|rsb|rsh|rsw|u?r\w*|tr\w*|a?xp|a?xr[bh]?|l?ar[bh]?|apu?r\w*|ra[ab])|ld[1-4]r?")
_STORE = re.compile(r"st(p|np|gp|rb?|rh|ur[bh]?|tr[bh]?|l?xp|l?xr[bh]?|l?lr[bh]?|lur[bh]?)|st[1-4]")
_BRANCH = re.compile(r"b|bl|bc?\.\w+|cbn?z|tbn?z|br|blr|ret|eret|(br|blr|ret|eret)a[ab]z?|drps")
#: Scalable vectors, matrices and predicates (SVE, SME), memory tags and copies: no emulated board has them.
_SCALABLE = re.compile(r"\b[zp]\d+\b|\bza\d*\b|\bzt0\b|mul vl|\b(st|stz|ld)[z2]?gm?\b|\bst64|\bld64|\brcw|\bpn\d")


def test_random_words_have_the_classes_the_disassembler_s_names_say(classify: Classify, tmp_path: Path) -> None:
    """600,000 words, most of them of SIMD and of memory, as GNU objdump names them."""
    objdump = need_tool("aarch64-linux-gnu-objdump", package="binutils-aarch64-linux-gnu")
    random = np.random.default_rng(7)
    words = random.integers(0, 2**32, 600_000, dtype=np.uint32)
    words[:300_000] |= np.uint32(0x0E000000)
    words[300_000:450_000] = words[300_000:450_000] & ~np.uint32(0x0A000000) | np.uint32(0x08000000)
    words[450_000:460_000] = words[450_000:460_000] & np.uint32(0x03FFFFFF) | np.uint32(0xD4000000)
    words.tofile(tmp_path / "words.bin")
    printed = subprocess.run(
        [objdump, "-D", "-b", "binary", "-m", "aarch64", tmp_path / "words.bin"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    made = classify(words)
    wrong, seen = [], 0
    for place, name, operands in re.findall(r"^\s*([0-9a-f]+):\t[0-9a-f]{8} \t(\S+)(.*)$", printed, re.MULTILINE):
        if name == ".inst" or "undefined" in operands or _SCALABLE.search(f"{name} {operands}"):
            continue
        seen += 1
        bits = made[int(place, 16) // 4]
        for expected, names in (
            (_MULTIPLY_ADD.fullmatch(name), ("multiply_add",)),
            (_DOT_PRODUCT.fullmatch(name), ("dot_product",)),
            (_BRANCH.fullmatch(name), ("branches",)),
            (_LOAD.fullmatch(name) or _READ_AND_WRITE.fullmatch(name), ("loads",)),
            (_STORE.fullmatch(name) or _READ_AND_WRITE.fullmatch(name), ("stores",)),
        ):
            if bool(expected) != any(bits & BIT[one] for one in names):
                wrong.append(f"{words[int(place, 16) // 4]:08x} {name}{operands} {names}")
    assert seen > 100_000
    assert wrong == []
