"""Weights for a PyTorch module: safetensors or a state dict, known by content, and put in only where every name fits."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpack_edge.core.errors import BadInput, Unsupported, Untrusted
from mlpack_edge.runtimes.recognise.kinds import Kind
from mlpack_edge.runtimes.recognise.sniff import sniff

#: torch.nn.Module and torch.Tensor: torch ships types, but is not imported where it is not needed.
Module = Any
Tensor = Any

#: Under which key training scripts put the state dict beside the optimizer's.
_NESTED = ("state_dict", "model_state_dict", "model", "module", "net", "weights")
#: What wrappers put before every name: DataParallel and DistributedDataParallel, torch.compile.
_PREFIXES = ("module.", "_orig_mod.")


def load_weights(path: Path) -> dict[str, Tensor]:
    """The tensors by name, on the CPU. Nothing in the file is run.

    Raises Untrusted where opening it would need `weights_only=False`, BadInput where it is damaged or holds no
    tensors by name, Unsupported for model files that are no weights.
    """
    kind = sniff(path)
    if kind is Kind.SAFETENSORS:
        return _from_safetensors(path)
    if kind in (Kind.TORCH_CHECKPOINT, Kind.PICKLE):
        return _from_pickle(path)
    raise Unsupported(
        f"{path} holds no weights: it is a model of the kind {kind}",
        "give --weights a safetensors file or a state dict: torch.save(model.state_dict(), 'weights.pt')",
    )


def put_weights(module: Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Copy `weights` into the module. Raises BadInput, by name, where one is missing, unexpected or of another shape.

    A name may be missing only where the module ties it to a tensor that is there (safetensors stores such once).
    """
    own = module.state_dict()
    given = dict(weights)
    for prefix in _PREFIXES:
        if given and all(key.startswith(prefix) for key in given) and not any(key.startswith(prefix) for key in own):
            given = {key[len(prefix) :]: tensor for key, tensor in given.items()}
    present = {(own[key].data_ptr(), own[key].shape) for key in given if key in own}
    missing = [key for key in own if key not in given and (own[key].data_ptr(), own[key].shape) not in present]
    unexpected = [key for key in given if key not in own]
    shapes = [
        f"{key} is {list(given[key].shape)}, the module has {list(own[key].shape)}"
        for key in given
        if key in own and given[key].shape != own[key].shape
    ]
    reasons = [
        f"{label}: {_some(names)}"
        for label, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if reasons:
        raise BadInput(
            f"{name} does not fit {type(module).__name__}: {'; '.join(reasons)}",
            "give the weights that were saved from this class, or a callable that builds it with the same sizes",
            missing=missing, unexpected=unexpected, shapes=shapes,
        )  # fmt: skip
    module.load_state_dict(given, strict=False)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _from_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path, device="cpu"))
    except SafetensorError as fault:
        raise BadInput(f"{path} is a damaged safetensors file", "fetch it again", why=str(fault)) from fault


def _from_pickle(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        raise _unsafe(path, str(fault)) from fault
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as fault:
        raise BadInput(
            f"{path} is no state dict that PyTorch {torch.__version__} can read",
            "save it again: torch.save(model.state_dict(), 'weights.pt')",
            why=(str(fault).strip().splitlines() or [type(fault).__name__])[0][:400],
        ) from fault
    return _tensors(found, path)


def _unsafe(path: Path, text: str) -> Untrusted:
    """torch names the global in its message, in one of two wordings."""
    named = re.search(r"(?:GLOBAL|global|class) ([\w.]+)", text)
    what = f"it asks for {named[1]}" if named else text.strip().splitlines()[-1][:200]
    return Untrusted(
        f"{path} is not opened: reading it would need weights_only=False, which runs code in the file",
        "save the tensors alone: torch.save(model.state_dict(), 'weights.pt'), or as safetensors",
        why=what,
    )


def _tensors(found: Any, path: Path) -> dict[str, Tensor]:
    import torch

    for key in _NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    named = isinstance(found, Mapping) and found and all(isinstance(key, str) for key in found)
    if not named or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise BadInput(
            f"{path} holds no tensors by name",
            "save a state dict: torch.save(model.state_dict(), 'weights.pt')",
            why=f"it holds a {type(found).__name__}"
            + (f" with the keys {_some([str(key) for key in found])}" if isinstance(found, Mapping) else ""),
        )
    return dict(found)
