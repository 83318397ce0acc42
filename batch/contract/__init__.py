"""What the data must be like: rules for rows, which send them to quarantine, and for tables, which stop a run."""
