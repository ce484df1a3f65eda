r"""Regular expressions that PostgreSQL and RE2 read in the same way.

The pattern is searched for anywhere in the text; `^` and `$` are its very beginning and end.
What the two engines read differently is refused when the file is read: look-around,
back-references, `\b` (a backspace in PostgreSQL), hexadecimal escapes, and flags other than a
leading `(?i)`. Two differences remain: in PostgreSQL `.` matches a line break, and `\w`, `\d`, `\s`
and `(?i)` know the letters of the database's locale, where RE2 stays with ASCII.
"""

import re
import warnings

_MAX_REPEAT = 255  # PostgreSQL's limit; RE2 allows 1000
_LEADING_FLAG = "(?i)"
_ESCAPED_LETTERS = "dDwWsStnrfv"
_POSIX_CLASS = re.compile(r"\[:(alpha|digit|alnum|upper|lower|space|blank|punct|print|graph|cntrl|xdigit):\]")
_QUANTIFIER = r"(?:[*+?]|\{\d+(?:,\d*)?\})"
_TOKEN = re.compile(
    rf"""
    (?P<escape>\\.)
    | (?P<bracket>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])
    | (?P<group>\(\?(?:P?<[=!]?|.)?)
    | (?P<possessive>{_QUANTIFIER}\+)
    | (?P<repeat>\{{\d*,?\d*\}})
    | (?P<brace>\{{\d)
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def check_pattern(pattern: str) -> str:
    """Return the pattern if both engines read it alike, as far as that shows without a server.

    Raises:
        ValueError: It says what to write instead.
    """
    if not pattern or "\x00" in pattern:
        raise ValueError("the pattern is empty or holds a NUL character")
    _check_syntax(pattern)
    for token in _TOKEN.finditer(pattern.removeprefix(_LEADING_FLAG)):
        problem = _problem(token)
        if problem:
            raise ValueError(f"pattern {pattern!r}: {problem}")
    return pattern


def _check_syntax(pattern: str) -> None:
    """Let Python's own parser find what is wrong in every dialect, such as an open bracket."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(_POSIX_CLASS.sub("a-z", pattern))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}") from None


def _problem(token: re.Match[str]) -> str:
    text = token.group()
    match token.lastgroup:
        case "escape":
            return _escape_problem(text)
        case "bracket":
            escapes = (_escape_problem(found) for found in re.findall(r"\\.", text, re.DOTALL))
            return next((problem for problem in escapes if problem), "")
        case "group" if text != "(?:":
            return f"{text!r} is not common to PostgreSQL and RE2; use (?:...) groups, and (?i) at the start"
        case "possessive":
            return f"{text!r} is a possessive repeat, which PostgreSQL does not know"
        case "brace":
            return r"a { before a digit begins a repeat in PostgreSQL; write \{ for the character"
        case "repeat" if text.startswith("{,"):
            return f"{text!r} needs its lower limit: write {{0{text[1:]}"
        case "repeat" if any(int(number) > _MAX_REPEAT for number in re.findall(r"\d+", text)):
            return f"{text!r} repeats more than {_MAX_REPEAT} times, PostgreSQL's limit"
    return ""


def _escape_problem(escape: str) -> str:
    letter = escape[1]
    if letter in _ESCAPED_LETTERS or not (letter.isalnum() or letter == "_"):
        return ""
    if letter in "bB":
        return rf"{escape!r} is a word boundary in RE2 but not in PostgreSQL; write (^|\W) or (\W|$)"
    if letter in "AZz":
        return f"{escape!r} differs between engines; write ^ for the beginning and $ for the end"
    return f"{escape!r} is not read alike by PostgreSQL and RE2; write the characters themselves"
