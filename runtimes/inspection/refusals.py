"""Why LiteRT refuses a TFLite file, in words: what it said or how it died, and what in the file that is about."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]

_MOST = 5


def explained(answer: bool | str, facts: Json) -> bool | str:
    """The answer of a runtime with its reason first; others than LiteRT's, and true, as they are.

    facts: what `tflite_facts` read, maybe in part.
    """
    if not isinstance(answer, str) or facts.get("format") != "tflite":
        return answer
    for explain in (_flex, _custom, _unknown, _version, _death):
        words = explain(answer, facts)
        if words:
            return f"{words} ({answer})"
    return answer


def _custom_names(facts: Json) -> list[str]:
    return [name.removeprefix("custom.") for name in facts.get("ops") or {} if name.startswith("custom.")]


def _flex(answer: str, facts: Json) -> str:
    names = [name for name in _custom_names(facts) if name.startswith("Flex")]
    if not names or "Select TensorFlow op" not in answer:
        return ""
    return f"TensorFlow's own operators {_listed(names)}: only a runtime built with TensorFlow's Flex delegate has them"


def _custom(answer: str, facts: Json) -> str:
    names = [name for name in _custom_names(facts) if not name.startswith("Flex")]
    if not names or "unresolved custom op" not in answer:
        return ""
    return f"custom operators that the runtime has no kernel for: {_listed(names)}"


def _unknown(answer: str, facts: Json) -> str:
    found = re.search(r"builtin_code out of range: (\d+)", answer)
    return f"operator code {found[1]} is none that the runtime knows: the file is damaged or too new" if found else ""


def _version(answer: str, facts: Json) -> str:
    found = re.search(r"opcode '(\w+)' version '(\d+)'", answer)
    return f"the runtime has no kernel for version {found[2]} of {found[1]}" if found else ""


def _death(answer: str, facts: Json) -> str:
    if "the child process died" not in answer:
        return ""
    names = facts.get("unscaled_ops") or []
    because = f"; 8-bit integers without a scale go into {_listed(names)}, which kernels do not check" if names else ""
    return f"it ends the process that opens it{because}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
