"""Whether a runtime stopped for want of memory: with more it may not stop, so neither the rows nor the model are at fault."""

from __future__ import annotations

#: What allocators of runtimes say when there is no memory left (ONNX Runtime's arena, PyTorch's allocator, operator new).
_SAID = ("bad_alloc", "allocate memory", "failed to allocate", "ut of memory")


def lacks_memory(said: str) -> bool:
    return any(words in said for words in _SAID)


def refuse_lack_of_memory(said: str) -> None:
    """Raise MemoryError, of which the worker's parent makes the error of the memory limit, where that is what `said` says."""
    if lacks_memory(said):
        raise MemoryError(said)
