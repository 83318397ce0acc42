"""What the collectors of all shards gathered, as one: in the coordinating process, so nothing heavy is imported."""

from __future__ import annotations

import importlib
from functools import reduce
from typing import TYPE_CHECKING, Any

from mlpack_edge.batch.facts import RunFacts

if TYPE_CHECKING:
    from mlpack_edge.batch.collectors import Merge  # with numpy, which this process does without

Json = dict[str, Any]

#: How the states of a collector are joined.
_MERGES = {
    "contract": "mlpack_edge.batch.contract.merging:merge_statistics",
    "agreement": "mlpack_edge.batch.agreement:merge_agreement",
    "profile": "mlpack_edge.batch.profiling.merging:merge_profile",
}


def merged(facts: RunFacts) -> Json:
    """By collector, its state over all shards, in their order; {} where nothing was gathered."""
    names = dict.fromkeys(name for shard in facts.shards for name in shard.collected)
    joined = {}
    for name in names:
        module, _, function = _MERGES[name].partition(":")
        merge: Merge = getattr(importlib.import_module(module), function)
        joined[name] = reduce(merge, (shard.collected[name] for shard in facts.shards if name in shard.collected))
    return joined
