"""Data through a model into profiles: the reference of a spec, and the profiles of a night's rows."""
