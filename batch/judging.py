"""Whether a run may be published: the budget of rejected rows and the contract's rules for tables. Policies over facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlpack_edge.batch.facts import ShardFacts
from mlpack_edge.core.errors import CheckFailed

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Budget:
    """How many rows of a run may be rejected. share: 0 to 1, of the rows that are read."""

    share: float

    def allows(self, rejected: int, rows: int) -> bool:
        # The product is rounded: 0.1 % of 1,000 rows is one row, whatever 0.001 * 1000 is in binary.
        return rejected <= round(self.share * rows, 9)

    def text(self) -> str:
        return f"{100 * self.share:g}%" if self.share else "none"


class Spending:
    """Rows rejected so far, against the budget of the whole run: it is known early that a run cannot succeed."""

    def __init__(self, budget: Budget, rows: int, where: str) -> None:
        """rows: of the whole run. where: where the rejected rows can be looked at, for the message."""
        self._budget = budget
        self._rows = rows
        self._where = where
        self._reasons: dict[str, int] = {}

    def add(self, facts: ShardFacts) -> None:
        """Raises CheckFailed, naming reasons and counts, where no more rows may be rejected."""
        for reason, rows in facts.rejected.items():
            self._reasons[reason] = self._reasons.get(reason, 0) + rows
        refuse_overspent(self._budget, self._reasons, self._rows, self._where)


def refuse_overspent(budget: Budget, reasons: dict[str, int], rows: int, where: str) -> None:
    """Raise CheckFailed where more rows were rejected than the budget allows."""
    rejected = sum(reasons.values())
    if budget.allows(rejected, rows):
        return
    worst = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = "; ".join(f"{count:,} rows: {reason}" for reason, count in worst[:5])
    more = f"; {len(worst) - 5} more reasons" if len(worst) > 5 else ""
    raise CheckFailed(
        f"{rejected:,} of {rows:,} rows are rejected, {budget.text()} may be; nothing was published",
        f"look at {where}; mend the input, or allow more with --max-rejected (the finished shards are kept)",
        why=shown + more,
        result={"rows_in": rows, "rows_rejected": rejected, "rejected": dict(worst), "rejected_file": where},
    )


def refuse_broken_rules(reasons: Sequence[str]) -> None:
    """Raise CheckFailed with what the contract's rules for tables found, if anything."""
    if not reasons:
        return
    raise CheckFailed(
        f"the input breaks {'a rule' if len(reasons) == 1 else f'{len(reasons)} rules'} of the contract; "
        "nothing was published",
        "mend the input, or change the contract where the new data are right",
        why="; ".join(reasons),
        result={"broken_rules": list(reasons)},
    )
