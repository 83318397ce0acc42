"""What is known of processors that give other answers than another one does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def saturates(environment: Mapping[str, Any]) -> bool:
    """Whether ONNX Runtime's int8 kernels saturate sums of 16 bits there: x86-64 with AVX2 and without VNNI.

    VPMADDUBSW adds two products of an unsigned and a signed byte into 16 bits with saturation (Intel's Software
    Developer's Manual, volume 2); VNNI adds into 32. environment: as targets describe themselves. A guest of qemu-user
    reads the features of the machine that it runs on, and has no VNNI itself.
    """
    features = environment.get("features") or ()
    is_x86 = environment.get("arch") in ("x86_64", "AMD64")
    vnni = any("vnni" in feature for feature in features) and not environment.get("emulated")
    return is_x86 and "avx2" in features and not vnni


def next_step(kind: str, is_quantized: bool, environments: Mapping[str, Mapping[str, Any]]) -> str:
    """What to do about answers of a file that differ. kind: "onnx" or "tflite". environments: of the machines, by name."""
    if is_quantized and kind == "tflite":
        return (
            "LiteRT's optimised int8 kernels round on each processor in their own way, mostly by one step; accept it with "
            "--atol where the metric on the device is good, or run the reference kernels (BUILTIN_REF), which are the same "
            "bits everywhere"
        )
    slow = [name for name, environment in environments.items() if saturates(environment)]
    if is_quantized and slow:
        return (
            f"int8 sums of 16 bits saturate on x86-64 with AVX2 and without VNNI ({' and '.join(slow)}), nowhere else: "
            "quantize with reduce_range or with unsigned weights (u8u8), which agree on all processors"
        )
    return (
        "look at that row; --rtol and --atol say what you would accept of numbers, "
        "--max-flips which share of labels may differ"
    )
