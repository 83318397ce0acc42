"""Values every room shares: errors, signatures, digests, verdicts, files. Standard library only."""
