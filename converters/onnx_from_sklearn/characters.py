"""What Python knows of characters, as tables and patterns for a graph.

Tables are made from the Python that converts: its `str.lower`, `unicodedata` and `re` are those that scikit-learn used.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from mlpack_edge.core.errors import Unsupported

CAPITAL_SIGMA = "Σ"
#: Kinds of characters around a capital sigma; a character of no other kind ends the search.
CASED, IGNORABLE = 1, 0


def characters() -> Iterator[str]:
    """Every code point that UTF-8 can hold."""
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            yield chr(code)


@cache
def replacements(lowercase: bool, accents: str | None) -> dict[str, str]:
    """What each character becomes, where it changes: lower-cased, then stripped of accents.

    accents: None, "unicode" or "ascii" (sklearn.feature_extraction.text.strip_accents_*). Both go character by
    character: marks that canonical ordering would move are removed by either. The one letter whose lower case depends
    on its neighbours, capital sigma, is given as it is at the start of a word.
    """
    changed = {}
    for character in characters():
        made = character.lower() if lowercase else character
        if accents == "unicode":
            made = _strip_unicode(made)
        elif accents == "ascii":
            made = _strip_ascii(made)
        if made != character:
            changed[character] = made
    return changed


def _strip_unicode(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _strip_ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


@cache
def around_sigma() -> dict[str, int]:
    """CASED or IGNORABLE for each character that is one (Unicode 3.13, Final_Sigma, as str.lower decides it)."""
    kinds = {}
    for character in characters():
        if (character + CAPITAL_SIGMA).lower().endswith("ς"):
            kinds[character] = CASED
        elif ("a" + character + CAPITAL_SIGMA).lower().endswith("ς"):
            kinds[character] = IGNORABLE
    return kinds


@cache
def whitespace() -> tuple[str, ...]:
    """What \\s matches, which is what str.split splits at."""
    return tuple(character for character in characters() if character.isspace())


#: One character of a token: an escape or a set in brackets without nested sets.
_ATOM = r"(?:\\[wWdDsS]|\[\^?(?:\\.|[^\]\\\[])+\]|\.)"
_PATTERN = re.compile(rf"(?:\(\?u\))?(\\b)?(\(?)({_ATOM})(?:\{{(\d+),\}}|({_ATOM}|)(\+))(\)?)(\\b)?")


@dataclass(frozen=True, slots=True)
class TokenRuns:
    """Tokens are the longest runs of at least `least` characters that `atom` matches one by one."""

    atom: re.Pattern[str]
    least: int

    def holds(self, character: str) -> bool:
        return self.atom.fullmatch(character) is not None


def token_runs(pattern: str) -> TokenRuns:
    """What a token pattern of scikit-learn matches, where that is runs of one set of characters.

    Known are `(?u)\\b\\w\\w+\\b` (the default), `\\w+`, `[a-z]{3,}`, `\\S+` and their like. Raises Unsupported for others.
    """
    found = _PATTERN.fullmatch(pattern)
    refusal = Unsupported(
        f"token_pattern={pattern!r} is not a run of one set of characters",
        r"use the default, or a pattern such as r'\w+' or r'[a-z]{3,}'",
    )
    if not found:
        raise refusal
    before, opened, atom, count, again, _, closed, after = found.groups()
    if bool(opened) != bool(closed) or bool(before) != bool(after) or (again and again != atom):
        raise refusal
    if before and atom != r"\w":  # at the edges of another set a boundary cuts matches short
        raise refusal
    least = int(count) if count else (2 if again else 1)
    if least == 0:
        raise refusal
    return TokenRuns(re.compile(atom), least)


@cache
def token_expression(runs: TokenRuns) -> str:
    """The pattern in the syntax of RE2, exact for every text: its own \\w and \\b are ASCII, so the set is written out."""
    return f"{character_set(runs.holds)}{{{runs.least},}}"


def character_set(holds: Callable[[str], object]) -> str:
    """The characters for which `holds` is true as a set of RE2."""
    ranges: list[tuple[int, int]] = []
    for character in characters():
        if holds(character):
            code = ord(character)
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1] = (ranges[-1][0], code)
            else:
                ranges.append((code, code))
    return "[" + "".join(f"\\x{{{a:x}}}" + (f"-\\x{{{b:x}}}" if b > a else "") for a, b in ranges) + "]"
