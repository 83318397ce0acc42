"""Making a spec: the cells and what the blocks teach, from reference data, with numpy."""
