"""What a quantized model on another runtime may differ by: steps of its scales.

int8 kernels compute with factors of fixed point, and each runtime rounds them in its own way, so a code here and there
is the one beside. Behind a layer that divides by a spread (normalization, softmax) one step becomes several. ONNX
Runtime with and without its own optimizations gives results up to 3 steps apart for a small convolutional net and up to
16 for a transformer block, on made rows of which half agree to 2; the TFLite kernels are as far from either.

So the family "quantized" allows
- each number `STEPS` steps of its output, a step being 1/255 of what the output spans (2 * the largest magnitude; 1 for
  probabilities; a code where the output is int8 or uint8);
- on half of the rows no number more than `STEPS * TYPICAL` of them: what is wrong is wrong everywhere;
- beyond that, and where a whole number (a label) differs, up to `EXCUSABLE` of the rows that have no stable answer: the
  source itself moves as much (an eighth of it, `parity.CONDITION_MARGIN`), or to that very label, when its inputs move
  by up to a step of 8 bits. They are counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray

from mlpack_edge.core.verdict import Verdict
from mlpack_edge.runtimes.compare import OutputFacts

STEPS = 12
TYPICAL = 1 / 2
#: Of the rows of one group, which may be no more than thirty.
EXCUSABLE = 0.2
#: A step of 256 over twice an input's largest magnitude, as a share of that.
NUDGE = 1 / 128
_OPERATORS = ("QuantizeLinear", "DynamicQuantize", "QLinear", "QGemm", "MatMulInteger", "ConvInteger", "QAttention")


def is_quantized(model: onnx.ModelProto) -> bool:
    """Whether a model computes with codes; weights alone that are dequantized do not count."""
    return any(node.op_type.startswith(_OPERATORS) for node in model.graph.node)


def allowed_apart(role: str, reference: NDArray[np.generic]) -> float:
    """How far a number of an output may be off; 0 for whole numbers that are no codes."""
    if reference.dtype.kind in "iub":
        return float(STEPS) if reference.dtype.name in ("int8", "uint8") else 0.0
    if role in ("probabilities", "proportions"):
        return STEPS / 255
    magnitude = np.abs(reference.astype(np.float64))
    counted = magnitude[np.isfinite(magnitude)]
    return STEPS / 255 * 2 * float(counted.max(initial=0.0))


def judge_typical(outputs: Iterable[OutputFacts], verdict: Verdict) -> Verdict:
    """`verdict`, and that half of the rows agree to a few steps."""
    reasons = list(verdict.reasons)
    for facts in outputs:
        limit = TYPICAL * float(np.max(facts.tolerance.atol))
        typical = float(np.median(facts.errors)) if facts.errors.size else 0.0
        if facts.label_flips is None and limit > 0 and typical > limit:
            reasons.append(
                f"output '{facts.name}': half of the rows differ by more than {typical:.3g}, "
                f"{typical / limit * STEPS * TYPICAL:.1f} steps of its scale"
            )
    return Verdict(not reasons, tuple(reasons))
