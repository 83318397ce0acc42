"""The agent as one file: its parts in the order in which they need each other, without the imports between them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

#: Each part uses only those before it.
PARTS = (
    "frames", "arrays", "facts", "models", "clock", "profile_table", "profile_onnx", "litert_interface", "profile_litert",
    "cut_out_times", "profiling", "child", "folder", "process", "turns", "server",
)  # fmt: skip
_OURS = "mlpack_edge."
#: Sent to a Python that has no file of it, it serves; children are started from the file that it writes then.
_START = """
if __name__ == "__agent__":
    main(SOURCE)
elif __name__ == "__main__":
    child_main()
"""


@cache
def agent_source() -> bytes:
    """A Python file that imports nothing of this package, to be run as `__agent__` with its own text as SOURCE."""
    texts = [_own_text(Path(__file__).with_name(f"{part}.py").read_text(encoding="utf-8")) for part in PARTS]
    return ("from __future__ import annotations\n" + "\n".join(texts) + _START).encode()


def _own_text(text: str) -> str:
    """The part without what only stands in a whole module: imports of other parts, the `__future__` line."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and ((node.module or "").startswith(_OURS) or node.module == "__future__"):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(lines)
