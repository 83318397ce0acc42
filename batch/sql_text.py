"""Names and texts in SQL, as the standard quotes them (ISO/IEC 9075-2, delimited identifiers and character string literals):
DuckDB and Delta's predicates take both so."""


def name(identifier: str) -> str:
    """An identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A literal."""
    return "'" + value.replace("'", "''") + "'"
