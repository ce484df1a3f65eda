"""Versions of components, and the ranges people write for them.

A version is what semver and PEP 440 both understand and order alike: `X.Y.Z`, or `X.Y.ZrcN` before a release.
A range may be written as npm, Cargo and pip write it: `^1.2`, `~1.2`, `1.2.x`, `1.2.0`, `>=1,<2`, `~=1.4`, or nothing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import semver
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from dteg.core.errors import ConfigError

__all__ = ["Range", "Version", "best", "parse_range", "parse_version", "sort_key"]

MAX_DIGITS = 9
"""Digits in one number of a version, so that `sort_key` can write all of them equally long."""

_NUMBER = rf"(?:0|[1-9]\d{{0,{MAX_DIGITS - 1}}})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:rc[1-9]\d{{0,{MAX_DIGITS - 1}}})?", re.ASCII)
_CLAUSE = re.compile(
    rf"(?P<operator>\^|~=|~|===?|!=|<=?|>=?|=|)\s*"
    rf"(?P<version>(?P<numbers>{_NUMBER}(?:\.{_NUMBER}){{0,2}})(?P<rc>rc[1-9]\d{{0,{MAX_DIGITS - 1}}})?(?P<wild>(?:\.[xX*])*)|[xX*])",
    re.ASCII,
)
_HINT = "write one like ^1.2, ~1.2, 1.2.x, 1.2.0 or >=1,<2"


@dataclass(frozen=True, slots=True)
class Range:
    """The versions that somebody accepts.

    Attributes:
        text: As it was written.
        specifiers: The same for `packaging`, pip and uv.
    """

    text: str
    specifiers: SpecifierSet

    def contains(self, version: Version | str, prereleases: bool = False) -> bool:
        """Tell whether a version is accepted.

        Args:
            version: A version of this module's form.
            prereleases: Whether `rc` versions count; they always do if the range itself names one.
        """
        wanted = prereleases or bool(self.specifiers.prereleases)
        return self.specifiers.contains(version, prereleases=wanted)

    def __str__(self) -> str:
        """Return it as it was written, `any version` for an empty one."""
        return self.text or "any version"


def parse_version(text: str) -> Version:
    """Read a version.

    Raises:
        ConfigError: It is not `X.Y.Z` or `X.Y.ZrcN` with numbers of at most 9 digits.
    """
    if not _VERSION.fullmatch(text):
        raise ConfigError(f"{text[:50]!r} is not a version; write X.Y.Z, or X.Y.ZrcN before a release")
    return Version(text)


def parse_range(text: str) -> Range:
    """Read a range; clauses stand apart by commas or spaces and must all hold.

    A version with fewer than three numbers and no operator stands for all that begin with it: `1.2` is `1.2.x`.

    Raises:
        ConfigError: It is not a range.
    """
    clauses = [",".join(_clauses(part, text)) for part in _split(text)]
    return Range(text.strip(), SpecifierSet(",".join(filter(None, clauses))))


def best(versions: Iterable[Version], wanted: Range, prereleases: bool = False) -> Version | None:
    """Return the highest version in a range, None if there is none."""
    return max((each for each in versions if wanted.contains(each, prereleases)), default=None)


def sort_key(version: Version | str) -> str:
    """Return a text that sorts as the versions do, for databases that know only texts."""
    parsed = parse_version(str(version))
    numbers = ".".join(f"{number:0{MAX_DIGITS}d}" for number in parsed.release)
    return f"{numbers}.rc{parsed.pre[1]:0{MAX_DIGITS}d}" if parsed.pre else f"{numbers}.z"


def _split(text: str) -> list[str]:
    # A space may stand between an operator and its version, and between two clauses.
    glued = re.sub(r"([\^~<>=!])\s+(?=[\dxX*])", r"\1", text)
    parts = re.split(r"\s*,\s*|\s+", glued.strip())
    if "" in parts and parts != [""]:
        raise ConfigError(f"{text[:50]!r} is not a range of versions: a comma too many; {_HINT}")
    return [part for part in parts if part]


def _clauses(part: str, text: str) -> Iterator[str]:
    """Yield one written clause as clauses of PEP 440."""
    match = _CLAUSE.fullmatch(part)
    if not match:
        raise ConfigError(f"{text[:50]!r} is not a range of versions{_of(part, text)}; {_HINT}")
    operator, wild = match["operator"], bool(match["wild"])
    if not match["numbers"]:
        if operator in ("", "=", "==", "^", "~", ">="):
            return
        raise ConfigError(f"{text[:50]!r} is not a range of versions: {part!r} holds for none; {_HINT}")
    numbers = [int(number) for number in match["numbers"].split(".")]
    if len(numbers) + match["wild"].count(".") > 3 or (wild and (match["rc"] or operator not in _WITH_WILD)):
        raise ConfigError(f"{text[:50]!r} is not a range of versions{_of(part, text)}; {_HINT}")
    yield from _translate(operator, numbers, match["rc"] or "", partial=wild or len(numbers) < 3)


def _of(part: str, text: str) -> str:
    """Name the part that is wrong, if it is not all of it."""
    return f": {part[:50]!r}" if part != text.strip() else ""


_WITH_WILD = ("", "=", "==", "!=", "^", "~")


def _translate(operator: str, numbers: list[int], rc: str, *, partial: bool) -> Iterator[str]:
    lower = ".".join(str(number) for number in [*numbers, 0, 0][:3]) + rc
    if operator in ("^", "~"):
        yield f">={lower}"
        yield f"<{_next(operator, numbers)}"
    elif operator in ("", "=", "==", "===", "!="):
        sign = "!=" if operator == "!=" else "=="
        yield f"{sign}{'.'.join(map(str, numbers))}.*" if partial and not rc else f"{sign}{lower}"
    elif operator == "~=":
        if len(numbers) < 2:
            raise ConfigError(f"~={numbers[0]} is not a range of versions: ~= needs two numbers; {_HINT}")
        yield f"~={'.'.join(map(str, numbers))}{rc}"
    else:
        yield f"{operator}{lower}"


def _next(operator: str, numbers: list[int]) -> str:
    """Return the first version that `^` or `~` no longer accepts."""
    given = len(numbers)
    start = semver.Version(*numbers)
    if given == 1 or (operator == "^" and numbers[0]):
        return str(start.bump_major())
    if operator == "~" or numbers[1] or given == 2:
        return str(start.bump_minor())
    return str(start.bump_patch())
