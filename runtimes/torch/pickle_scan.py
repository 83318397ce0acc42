"""Read which globals a pickle would import, without running it. Standard library only."""

from __future__ import annotations

import pickletools

from mlpack_edge.core.errors import BadInput

#: Reported where the name of a global is computed while unpickling: nothing vouches for such a pickle.
COMPUTED = "a name computed while unpickling"

_TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
_STORE = {"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"}
_FETCH = {"GET", "BINGET", "LONG_BINGET"}
_EXTENSION = {"EXT1", "EXT2", "EXT4"}


def globals_of(data: bytes, name: str) -> set[str]:
    """Every `module.attribute` that the pickles in `data` import, in dotted form; `name` is for the error.

    Opcodes as in PEP 307, 3154 and 574, read with `pickletools`. A STACK_GLOBAL counts as known only where two text
    constants (or two memo entries that hold text) stand right before it; otherwise COMPUTED is reported.
    Raises BadInput where the bytes are no pickle.
    """
    found: set[str] = set()
    position = 0
    while position < len(data):
        memo: dict[int, str | None] = {}
        recent: list[str | None] = []
        end = 0
        try:
            for opcode, argument, at in pickletools.genops(data[position:]):
                if opcode.name in ("GLOBAL", "INST"):
                    found.add(str(argument).replace(" ", ".", 1))
                    recent.append(None)
                elif opcode.name == "STACK_GLOBAL":
                    module, attribute = recent[-2:] if len(recent) > 1 else (None, None)
                    found.add(f"{module}.{attribute}" if module and attribute else COMPUTED)
                    recent.append(None)
                elif opcode.name in _EXTENSION:
                    found.add(COMPUTED)
                elif opcode.name in _TEXT:
                    recent.append(str(argument))
                elif opcode.name in _STORE:
                    slot = len(memo) if argument is None else int(argument)
                    memo[slot] = recent[-1] if recent else None
                elif opcode.name in _FETCH:
                    recent.append(memo.get(int(argument or 0)))
                elif opcode.name not in ("PROTO", "FRAME"):
                    recent.append(None)
                end = at or 0
        except (ValueError, UnicodeDecodeError, IndexError, OverflowError) as fault:
            raise BadInput(
                f"{name} is a damaged pickle", "save the model again, or fetch the file again", why=str(fault)
            ) from fault
        position += end + 1
    return found
