"""Example tensors for a PyTorch module, and what is seen when it runs on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlpack_edge.core.errors import Unsupported

#: torch.nn.Module and torch.Tensor: torch ships types, but is not imported where it is not needed.
Module = Any
Tensor = Any


def example(sizes: list[int], dtype: str, bound: int, given: Tensor | None) -> Tensor:
    """A tensor of these sizes: the given one repeated or cut, else seeded numbers (whole ones below `bound`)."""
    import torch

    kind = getattr(torch, dtype)
    if given is not None and given.dim() == len(sizes) and 0 not in given.shape:
        for axis, size in enumerate(sizes):
            given = given.index_select(axis, torch.arange(size) % given.shape[axis])
        return given.detach().to(kind)
    seeded = torch.Generator().manual_seed(0)
    if kind.is_floating_point:
        return torch.randn(sizes, generator=seeded).to(kind)
    return torch.randint(0, min(bound, 2) if kind == torch.bool else bound, sizes, generator=seeded).to(kind)


@contextmanager
def watched(module: Module, feeds: Mapping[str, Tensor], found: dict[str, int]) -> Iterator[None]:
    """Note in `found` which inputs go straight into an embedding (also as a view), with its number of rows."""
    import torch

    def note(embedding: Any, arguments: tuple[Any, ...]) -> None:
        for name, tensor in feeds.items():
            same = arguments and arguments[0].untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr()
            if same and tensor.numel():
                found[name] = min(found.get(name, embedding.num_embeddings), embedding.num_embeddings)

    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    hooks = [part.register_forward_pre_hook(note) for part in module.modules() if isinstance(part, kinds)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def refuse_state(module: Module, before: Mapping[str, Tensor]) -> None:
    """ONNX files have no memory between calls: a module whose buffers change would be right once."""
    import torch

    for name, buffer in module.named_buffers():
        if not torch.equal(torch.nan_to_num(buffer), torch.nan_to_num(before[name])):
            raise Unsupported(
                f"{type(module).__name__} changes its buffer {name} each time it runs",
                "give that state as an input and return it as an output",
                why="an ONNX file keeps nothing between calls",
            )
