"""On how many rows a model may stop or end its process before it is taken to be unfit."""

from __future__ import annotations

import math

from mlpack_edge.batch.contract.contract import contract_of_plan
from mlpack_edge.batch.plan import Plan

#: However few rows may be rejected: so many are looked for and named. Each one that ends a process takes two seconds.
FEW = 4


def rows_that_may_fail(plan: Plan) -> int:
    """What `--max-rejected`, else the contract, allows of the run's rows; FEW at least."""
    share = plan.job.max_rejected
    if share is None and (contract := contract_of_plan(plan)) is not None:
        share = contract.max_rejected
    return max(FEW, math.ceil((share or 0.0) * plan.rows))
