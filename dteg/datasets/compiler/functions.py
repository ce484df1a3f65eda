"""The functions of formulas. What is not in this list does not exist: there is no way to call anything else."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.casting import read_literal
from dteg.datasets.compiler.makers import Make, choices, numbers, texts, times
from dteg.datasets.compiler.makers.times import PARTS
from dteg.datasets.compiler.terms import DATE, EXACT, INTEGER, TIMESTAMP, Term, TextCompare
from dteg.datasets.types import NUMBERS, TIMES, Family

MAX_ARGUMENTS = 50


class Kind(StrEnum):
    """What an argument has to be."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    CONDITION = "condition"
    ANY = "any"
    COUNT = "whole number"
    """Written as a number, from 0 to 1 000."""
    PLACES = "digits"
    """Written as a number, from -10 to 10."""
    WORD = "quoted text"
    """Written in quotes."""


@dataclass(frozen=True)
class Function:
    """One function.

    Attributes:
        name: Its name in formulas, in small letters.
        takes: What its arguments are.
        make: Makes the call of checked arguments.
        about: What it does, for people.
        optional: How many of the last arguments may be left out.
        repeats: Whether the last one may be there several times.
    """

    name: str
    takes: tuple[Kind, ...]
    make: Make
    about: str
    optional: int = 0
    repeats: bool = False

    @property
    def signature(self) -> str:
        """How it is written, such as `round(number, [digits])`."""
        least = len(self.takes) - self.optional
        words = [word if number < least else f"[{word}]" for number, word in enumerate(self.takes)]
        return f"{self.name}({', '.join(words)}{', ...' if self.repeats else ''})"


def apply(function: Function, arguments: Sequence[Term], mode: TextCompare) -> Term:
    """Call a function.

    Raises:
        ConfigError: The arguments are not what it takes.
    """
    takes = list(function.takes)
    if function.repeats:
        takes += [takes[-1]] * (len(arguments) - len(takes))
    if not len(function.takes) - function.optional <= len(arguments) <= min(len(takes), MAX_ARGUMENTS):
        raise ConfigError(f"{function.name} is written {function.signature}")
    checked = [
        _checked(function, number, kind, argument)
        for number, (kind, argument) in enumerate(zip(takes, arguments, strict=False), 1)
    ]
    return function.make(checked, mode)


def _checked(function: Function, number: int, kind: Kind, term: Term) -> Term:
    if kind is Kind.ANY:
        return term
    fits = {
        Kind.TEXT: term.family is Family.TEXT,
        Kind.NUMBER: term.family in NUMBERS,
        Kind.TIME: term.family in TIMES,
        Kind.CONDITION: term.family is Family.BOOLEAN,
        Kind.COUNT: _whole(term, 0, 1_000),
        Kind.PLACES: _whole(term, -10, 10),
        Kind.WORD: isinstance(term.literal, str),
    }[kind]
    if kind is Kind.TIME and isinstance(term.literal, str):
        return read_literal(term, DATE if len(term.literal.strip()) <= len("2026-01-31") else TIMESTAMP)
    if not fits:
        wanted = f"{kind} written as such" if kind in (Kind.COUNT, Kind.PLACES, Kind.WORD) else kind.value
        raise ConfigError(
            f"argument {number} of {function.name} is {term.family.words}; {function.signature} wants a {wanted}"
        )
    return term


def _whole(term: Term, least: int, greatest: int) -> bool:
    value = term.literal
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest


def extracted(word: str, term: Term) -> Term:
    """Return a part of a time: `extract(year from x)`.

    Raises:
        ConfigError: There is no such part, or it is no time.
    """
    if word not in PARTS:
        raise ConfigError(f"extract knows {', '.join(PARTS)}")
    return apply(FUNCTIONS[word], [term], EXACT)


_T, _N, _D, _B, _A = Kind.TEXT, Kind.NUMBER, Kind.TIME, Kind.CONDITION, Kind.ANY
FUNCTIONS: dict[str, Function] = {
    each.name: each
    for each in (
        Function("abs", (_N,), numbers.absolute, "The number without its sign."),
        Function(
            "round", (_N, Kind.PLACES), numbers.numeric("round"), "Rounded to digits behind the point.", 1
        ),
        Function("floor", (_N,), numbers.numeric("floor"), "The next whole number below."),
        Function("ceil", (_N,), numbers.numeric("ceil"), "The next whole number above."),
        Function("trunc", (_N, Kind.PLACES), numbers.numeric("trunc"), "Cut off behind the point.", 1),
        Function("sign", (_N,), numbers.numeric("sign"), "-1, 0 or 1."),
        Function("sqrt", (_N,), numbers.root, "Square root; nothing below zero."),
        Function("ln", (_N,), numbers.logarithm("ln"), "Natural logarithm; nothing for zero and below."),
        Function(
            "log10", (_N,), numbers.logarithm("log10"), "Logarithm to base 10; nothing for zero and below."
        ),
        Function("power", (_N, Kind.PLACES), numbers.power, "Raised to a whole power up to 10."),
        Function("mod", (_N, _N), lambda terms, mode: numbers.remainder(*terms), "What a division leaves."),
        Function("greatest", (_A, _A), choices.extreme("greatest"), "The greatest value.", repeats=True),
        Function("least", (_A, _A), choices.extreme("least"), "The least value.", repeats=True),
        Function("number", (_A,), numbers.number_of, "The number in a text; nothing if there is none."),
        Function("lower", (_T,), texts.of_text("lower"), "In small letters."),
        Function("upper", (_T,), texts.of_text("upper"), "In capital letters."),
        Function("initcap", (_T,), texts.of_text("initcap"), "Each word with a capital letter."),
        Function("trim", (_T,), texts.of_text("btrim"), "Without spaces around it."),
        Function("ltrim", (_T,), texts.of_text("ltrim"), "Without spaces before it."),
        Function("rtrim", (_T,), texts.of_text("rtrim"), "Without spaces after it."),
        Function("length", (_T,), texts.of_text("length", INTEGER), "How many characters."),
        Function("left", (_T, Kind.COUNT), texts.of_text("left"), "The first characters."),
        Function("right", (_T, Kind.COUNT), texts.of_text("right"), "The last characters."),
        Function(
            "substring",
            (_T, Kind.COUNT, Kind.COUNT),
            texts.of_text("substr"),
            "From a character on, so many.",
            1,
        ),
        Function("replace", (_T, _T, _T), texts.replace, "With each piece replaced by another."),
        Function("split_part", (_T, _T, Kind.COUNT), texts.split, "One of the parts between separators."),
        Function("lpad", (_T, Kind.COUNT, _T), texts.padded("lpad"), "Filled up on the left.", 1),
        Function("rpad", (_T, Kind.COUNT, _T), texts.padded("rpad"), "Filled up on the right.", 1),
        Function("concat", (_A,), texts.concat, "Put together; what is missing is left out.", repeats=True),
        Function("contains", (_T, _T), texts.test_of_text("contains"), "Whether a text has a piece."),
        Function("starts_with", (_T, _T), texts.test_of_text("starts_with"), "Whether a text begins so."),
        Function("ends_with", (_T, _T), texts.test_of_text("ends_with"), "Whether a text ends so."),
        Function("text", (_A,), texts.text_of, "As a text."),
        *(Function(word, (_D,), times.part(word), f"The {word} as a number.") for word in PARTS),
        Function("weekday", (_D,), times.part("isodow"), "1 for Monday to 7 for Sunday."),
        Function("date_trunc", (Kind.WORD, _D), times.date_trunc, "The start of the period: 'month'."),
        Function("days_between", (_D, _D), times.between(86_400), "Whole days from the first to the second."),
        Function("hours_between", (_D, _D), times.between(3_600), "Hours from the first to the second."),
        Function("minutes_between", (_D, _D), times.between(60), "Minutes from the first to the second."),
        Function("add_hours", (_D, _A), times.added("hour"), "So many hours later."),
        Function("add_days", (_D, _A), times.added("day"), "So many days later."),
        Function("add_months", (_D, _A), times.added("month"), "So many months later."),
        Function("format_time", (_D, Kind.WORD), times.format_time, "As a text: 'YYYY-MM'."),
        Function("now", (), times.now, "The time of the refresh."),
        Function("today", (), times.today, "The day of the refresh, in UTC."),
        Function("if", (_B, _A, _A), choices.if_else, "One value if it is true, else the other.", 1),
        Function("coalesce", (_A,), choices.coalesce, "The first value that is not missing.", repeats=True),
        Function("nullif", (_A, _A), choices.nullif, "Missing if both are equal, else the first."),
    )
}
