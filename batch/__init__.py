"""Nightly scoring: inputs, data contract, plan, engine, ledger, outputs, evaluation."""
