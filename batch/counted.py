"""Numbers of things as messages say them."""


def counted(number: int, noun: str) -> str:
    """`1 row`, `4,912 rows`, `0 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
