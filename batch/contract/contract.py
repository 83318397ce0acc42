"""A data contract: what the input of a nightly run must be like. TOML, read strictly.

A row that breaks a row rule is rejected with a reason; a table that breaks a table rule stops the run. This module is
the door: it reads contracts, and hands out the other parts, of which those that need Arrow are loaded when they are asked for.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpack_edge.batch.contract.judging import judge
from mlpack_edge.batch.contract.merging import merge_statistics
from mlpack_edge.batch.contract.reading import contract_record
from mlpack_edge.batch.contract.rules import ColumnRules, Contract
from mlpack_edge.batch.plan import Plan
from mlpack_edge.core.errors import BadInput
from mlpack_edge.core.files import io_fault
from mlpack_edge.core.signature import Signature, signature_from_text

if TYPE_CHECKING:
    from mlpack_edge.batch.contract.checker import RowChecker
    from mlpack_edge.batch.contract.draft import draft
    from mlpack_edge.batch.contract.schema import check_schema
    from mlpack_edge.batch.contract.statistics import ContractStatistics

__all__ = [
    "Contract", "ContractStatistics", "RowChecker", "check_schema", "contract_from_text", "contract_of_plan", "contract_text", "draft", 
    "judge", "merge_statistics", "read_contract",
]  # fmt: skip

#: Where the parts live that import pyarrow.
_HOMES = {"RowChecker": "checker", "ContractStatistics": "statistics", "check_schema": "schema", "draft": "draft"}

#: A contract is read whole; a file that is larger is something else.
_LARGEST = 10_000_000


def read_contract(path: Path, signature: Signature | None = None) -> Contract:
    """The contract in a file, as `contract_from_text`. IoFault where the file cannot be read."""
    return contract_from_text(contract_text(path), str(path), signature)


def contract_text(path: Path) -> str:
    """The text of a contract's file. IoFault where it cannot be read; BadInput where it is no UTF-8, or far too large."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
    except OSError as fault:
        raise io_fault(fault, f"the contract {path} could not be read") from fault
    if len(raw) > _LARGEST:
        raise BadInput(f"{path} is larger than {_LARGEST:,} bytes, and no contract", "mlpack score --draft-contract")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise BadInput(f"{path} is no UTF-8 text", "save the contract as UTF-8", why=str(fault)) from fault


def contract_from_text(text: str, name: str, signature: Signature | None = None) -> Contract:
    """The contract in TOML text; `name` is what it is called in messages.

    signature: of the model, which `categories_from = "model"` asks; without one such a column has no categories yet, and
    `RowChecker` refuses it. Raises BadInput that names the key, and the line where it can be told.
    """
    contract = contract_record(text, name)
    if signature is None:
        return contract
    return replace(contract, rules=tuple(_settled(rules, signature, name) for rules in contract.rules))


def contract_of_plan(plan: Plan) -> Contract | None:
    """The contract that a plan carries, with the categories of its first model; None where there is none."""
    if not plan.contract:
        return None
    return contract_from_text(plan.contract, plan.job.contract, signature_from_text(plan.models[0].signature))


def _settled(rules: ColumnRules, signature: Signature, name: str) -> ColumnRules:
    """With the categories that the model knows."""
    if not rules.categories_from:
        return rules
    column = next((column for column in signature.columns if column.name == rules.name), None)
    if column is None or not column.categories:
        known = [column.name for column in signature.columns if column.categories]
        raise BadInput(
            f"{name}: columns.{rules.name}: the model knows no categories of {rules.name!r}",
            f"list them: categories = [...]; the model knows those of {', '.join(known) or 'no column'}",
        )
    return replace(rules, categories=column.categories, categories_from="")


def __getattr__(name: str) -> Any:
    """The parts that import pyarrow, on first use: the coordinating process reads contracts without it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mlpack_edge.batch.contract.{_HOMES[name]}"), name)
