"""The wire format: a report of one profile in one deterministic CBOR array (docs/profile-format.md). Standard library alone."""
